"""The user's door: `kho`. Commands are loaded when they are called, so that each starts quickly."""

import importlib
import sys
from typing import Final

import click

from kho import __version__

# Each is `command` in kho/cli/commands/<name>.py.
COMMANDS: Final = {
    "copy": "Copy images between registries, layouts and this machine.",
    "digest": "Print the digest of an image.",
    "doctor": "Find out what is wrong between here and a registry.",
    "load": "Load the images of an archive into the local store.",
    "login": "Log in to a registry.",
    "logout": "Forget the login to a registry.",
    "ping": "Tell whether a registry answers, and how it wants to be asked.",
    "save": "Save images in an archive that docker, podman and others load.",
    "sync": "Keep repositories like others: what differs is copied.",
    "tags": "List the tags of a repository.",
    "unpack": "Unpack an image into a folder, or a bundle for runc.",
    "whoami": "Tell who you are at a registry, and whether the login still holds.",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"kho.cli.commands.{cmd_name}")
        found: click.Command = module.command
        return found

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kho", message="%(prog)s %(version)s")
def main() -> None:
    """kho, a client for container registries that needs no daemon.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 login needed or not allowed,
    5 registry not reached or busy, 6 content is not what it should be, 130 interrupted.
    """


if __name__ == "__main__":
    sys.exit(main())
