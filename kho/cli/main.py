"""The user's door: `kho`. Commands are loaded when they are called, so that each starts quickly."""

import gc
import importlib
import os
import sys
from contextlib import suppress
from typing import Final

import click

from kho import __version__

# Each is `command` in kho/cli/commands/<name>.py.
COMMANDS: Final = {
    "append": "Put layers on top of an image.",
    "artifact": "Push and pull files of any kind.",
    "attach": "Put files beside an image: SBOMs, reports.",
    "blob": "Print a blob of a repository, or put one there.",
    "cat": "Print files of an image.",
    "completion": "Print what makes a shell complete commands and image names.",
    "copy": "Copy images between registries, layouts and this machine.",
    "delete": "Delete tags and images from a registry.",
    "diff": "Tell what two images have in common and where they differ.",
    "digest": "Print the digest of an image.",
    "doctor": "Find out what is wrong between here and a registry.",
    "flatten": "Make one layer of all layers of an image.",
    "history": "Show the history of an image, step by step.",
    "images": "List the images of the local store.",
    "inspect": "Show what an image is.",
    "load": "Load the images of an archive into the local store.",
    "login": "Log in to a registry.",
    "logout": "Forget the login to a registry.",
    "ls": "List repositories of a registry, or files of an image.",
    "manifest": "Print a manifest as it is stored, or put one there.",
    "mutate": "Change how an image is run and what is said of it.",
    "pack": "Make an image of a folder.",
    "ping": "Tell whether a registry answers, and how it wants to be asked.",
    "prune": "Prune the local store of what no image needs.",
    "pull": "Pull images from registries into the local store.",
    "push": "Push an image to a registry.",
    "rebase": "Put an image on a newer base.",
    "referrers": "List what refers to an image: signatures, SBOMs.",
    "rmi": "Remove images from the local store.",
    "save": "Save images in an archive that docker, podman and others load.",
    "search": "Search a registry for repositories.",
    "sync": "Copy whole repositories, again and again: only what differs.",
    "tag": "Give a local image one more name.",
    "tags": "List the tags of a repository.",
    "tree": "Show an image's layers, what is large in them, and what is wasted.",
    "unpack": "Unpack an image into a folder, or a bundle for runc.",
    "validate": "Check that all of an image is there and what it should be.",
    "whoami": "Tell who you are at a registry, and whether the login still holds.",
}


# Objects that come before some are looked through for circles; the rest are Python's own.
_GARBAGE: Final = 50_000

# How --help groups them; what stands in none of them is listed last.
SECTIONS: Final = {
    "Images": (
        ("pull", "push", "copy", "sync", "images", "tag", "rmi", "prune"),
        ("inspect", "history", "save", "load", "unpack"),
    ),
    "Registries": (
        ("ls", "search", "tags", "digest", "referrers", "attach", "delete"),
        ("artifact", "ping", "doctor"),
    ),
    "Looking inside": (("cat", "diff", "tree", "manifest", "blob", "validate"),),
    "Building": (("pack", "append", "mutate", "rebase", "flatten"),),
    "Logins": (("login", "logout", "whoami"),),
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"kho.cli.commands.{cmd_name}")
        found: click.Command = module.command
        if ctx.resilient_parsing:
            from kho.cli.completion import prepare  # noqa: PLC0415

            prepare(found)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click, which knows no names of commands that are not loaded."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand:
            from kho.cli.habits import INSTEAD  # noqa: PLC0415

            if args[0] in INSTEAD:
                text = f"No such command {args[0]!r}: {INSTEAD[args[0]]}"
                raise click.UsageError(text, ctx=ctx) from None
            raise click.exceptions.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx) from None

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        grouped = {
            title: [name for row in rows for name in row] for title, rows in SECTIONS.items()
        }
        named = {name for names in grouped.values() for name in names}
        grouped["Other"] = [name for name in COMMANDS if name not in named]
        width = max(map(len, COMMANDS))
        for title, names in grouped.items():
            known = [(name.ljust(width), COMMANDS[name]) for name in names if name in COMMANDS]
            if known:
                with formatter.section(title):
                    formatter.write_dl(known)

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list["click.shell_completion.CompletionItem[str]"]:
        """Names of commands, none of which is loaded for it; and options."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415

        known = [
            CompletionItem(name, help=text)
            for name, text in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*known, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kho", message="%(prog)s %(version)s")
def main() -> None:
    """kho, a client for container registries that needs no daemon.

    An image is written as docker has it (ghcr.io/team/app:1.2, debian), or as a place:
    oci:FOLDER[:NAME], docker-archive:FILE, oci-archive:FILE, docker-daemon:NAME, local:NAME.
    `kho COMMAND --help` has examples.

    Results go to standard output, as one JSON value with --json; all else to standard error.

    \b
    Exit codes:
      0    done
      1    failed, or what was asked about differs
      2    wrong usage
      3    not found
      4    login needed, or not allowed
      5    registry not reached, or busy
      6    content is not what it should be
      130  interrupted
      141  nobody read the output to its end
    """  # noqa: D301 - what click takes for "leave these lines as they are"


def run() -> None:
    """The process's work, without what only a longer life would pay for.

    Rubbish is collected seldom; at the end nothing is taken apart, which costs as much as a fifth
    of the start. What must not be left behind is put away by `with` before.
    """
    gc.set_threshold(_GARBAGE)
    try:
        main()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            with suppress(OSError):  # Python's own end tells of it
                for stream in filter(None, (sys.stdout, sys.stderr)):
                    stream.flush()
                os._exit(end.code or 0)
        raise


if __name__ == "__main__":
    run()
