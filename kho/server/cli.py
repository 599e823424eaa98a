"""The operator's door: `khod`."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from kho import __version__

if TYPE_CHECKING:
    from kho.server.config import Config

Flags = dict[str, object]
Command = Callable[..., Any]

_OPTIONS = (
    ("config", "FILE", "Settings in TOML; also KHO_CONFIG."),
    ("registry-config", "FILE", "config.yml of registry:2; REGISTRY_* are read too."),
    ("data", "DIR", "Folder of everything that the server keeps  [./data]."),
    ("listen", "HOST:PORT", "Where to serve  [127.0.0.1:5000]."),
    ("workers", "N", "Worker processes; 0 is one per core  [0]."),
    ("storage", "URL", "Where blobs are kept  [the data folder]."),
    ("database", "URL", "Where rows are kept  [kho.db in the data folder]."),
)


# Of serving alone; by the key of the setting.
_SERVING = {
    "tls.cert": ("--tls-cert", "FILE", "Certificate chain (PEM); with it, HTTPS is served."),
    "tls.key": ("--tls-key", "FILE", "Key of the certificate (PEM)."),
    "tls.client_ca": ("--tls-client-ca", "FILE", "Ask clients for certificates of this CA."),
    "http.public_url": ("--public-url", "URL", "What clients call this registry."),
}


def _settings(command: Command) -> Command:
    """Add the flags that settings have."""
    for name, metavar, text in reversed(_OPTIONS):
        command = click.option(f"--{name}", metavar=metavar, help=text)(command)
    return command


def _serving_settings(command: Command) -> Command:
    """Add those too that only serving needs."""
    text = "Serve everybody while there is no account, on any address."
    command = click.option("--open", is_flag=True, default=None, help=text)(command)
    for flag, metavar, text in reversed(_SERVING.values()):
        command = click.option(flag, metavar=metavar, help=text)(command)
    return _settings(command)


def _by_key(flags: Flags) -> Flags:
    """The flags by the keys of their settings, as click has them by their own names."""
    keys = {flag[2:].replace("-", "_"): key for key, (flag, _, _) in _SERVING.items()}
    return {({**keys, "open": "auth.open"}).get(name, name): v for name, v in flags.items()}


# Loaded when they are called: each holds a click group (or command) named `group`.
COMMANDS: Final = {
    "access": "Say which rule decides over a request.",
    "audit": "Read the trail of who did what.",
    "fsck": "Verify everything that is stored.",
    "grants": "Say who may do what.",
    "groups": "Groups of users.",
    "index": "What the index knows of repositories.",
    "keys": "Keys that sign tokens.",
    "repos": "Repositories and who may see them.",
    "robots": "Accounts of machines.",
    "roles": "Roles made of single actions.",
    "tls": "Certificates for a lab.",
    "tokens": "Access tokens of users and robots.",
    "trust": "Issuers whose workloads may come in without a secret.",
    "users": "Accounts of people.",
}


class _Commands(click.Group):
    """The commands of this file, and those of `commands/`, which are imported when needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            module = importlib.import_module(f"kho.server.commands.{cmd_name}")
            found: click.Command = module.group
            return found
        return super().get_command(ctx, cmd_name)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        own = {name: command.get_short_help_str() for name, command in self.commands.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted({**own, **COMMANDS}.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="khod", message="%(prog)s %(version)s")
def main() -> None:
    """khod, the registry server of Kho.

    Exit codes: 0 done, 1 cannot start or run, 2 wrong usage or configuration.
    """


@main.command("serve")
@_serving_settings
def serve_command(**flags: object) -> None:
    """Serve the registry until SIGTERM or SIGINT.

    SIGTERM lets running requests finish (http.drain_seconds); SIGHUP reloads the settings.
    """
    config = _load(flags)
    from kho.server.serve import CannotStart, serve  # noqa: PLC0415

    try:
        code = serve(config, reread=lambda: _reread(flags))
    except CannotStart as error:
        _fail(str(error))
    sys.exit(code)


@main.command("migrate")
@_settings
def migrate_command(**flags: object) -> None:
    """Bring the database's schema up to date; `serve` does it too."""
    config = _load(flags)
    from kho.server.serve import CannotStart, held_folder, prepare_database  # noqa: PLC0415

    try:
        with held_folder(config.data):
            was = prepare_database(config.database_url)
    except CannotStart as error:
        _fail(str(error))
    done = {"current": "was up to date already", "empty": "was empty: schema created"}
    click.echo(f"database {done.get(was, 'brought up to date')}")


@main.group("config")
def config_group() -> None:
    """Look at the settings."""


@config_group.command("check")
@_serving_settings
def check_command(**flags: object) -> None:
    """Tell every mistake in the configuration (exit code 2)."""
    for warning in _load(flags).warnings:
        click.echo(f"khod: warning: {warning}", err=True)
    click.echo("the configuration is right")


@config_group.command("show")
@_serving_settings
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show_command(*, as_json: bool, **flags: object) -> None:
    """Print each setting with its value and where that came from; passwords are masked."""
    config = _load(flags)
    from kho.server.config import describe  # noqa: PLC0415

    rows = describe(config)
    if as_json:
        import json  # noqa: PLC0415

        tree = {row.key: {"value": row.value, "source": row.source} for row in rows}
        click.echo(json.dumps(tree, indent=2))
        return
    values = [
        str(row.value).lower() if isinstance(row.value, bool) else str(row.value) or '""'
        for row in rows
    ]
    keys_width = max(len(row.key) for row in rows)
    values_width = max(map(len, values))
    for row, value in zip(rows, values, strict=True):
        click.echo(f"{row.key:{keys_width}}  {value:{values_width}}  {row.source}")


@config_group.command("docs")
def docs_command() -> None:
    """Print docs/settings.md."""
    from kho.server.config import settings_page  # noqa: PLC0415

    click.echo(settings_page(), nl=False)


@main.command("openapi")
@click.option("--page", is_flag=True, help="Print docs/use/api.md, which is made from it.")
def openapi_command(*, page: bool) -> None:
    """Print the OpenAPI document of the JSON API."""
    import json  # noqa: PLC0415

    from kho.server.web.api import handbook  # noqa: PLC0415
    from kho.server.web.api.openapi import document  # noqa: PLC0415
    from kho.server.web.api.table import OPERATIONS  # noqa: PLC0415

    whole = document(OPERATIONS)
    click.echo(handbook.page(whole) if page else json.dumps(whole, indent=2), nl=not page)


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) or '""'


def _reread(flags: Flags) -> "Config":
    from kho.server.config import load  # noqa: PLC0415

    return load(_by_key(flags), os.environ)


def _load(flags: Flags) -> "Config":
    """Read the settings, or end with all mistakes and exit code 2."""
    from kho.server.config import ConfigError  # noqa: PLC0415

    try:
        return _reread(flags)
    except ConfigError as error:
        _fail(str(error), code=2)


def _fail(text: str, code: int = 1) -> NoReturn:
    click.echo(f"khod: {text}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
