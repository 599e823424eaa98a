"""The options of commands that make a layer of a folder."""

import os
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from kho.client.building.pack import Packing
    from kho.layers.compression import Compression

Function = Callable[..., Any]

_OPTIONS: Final = (
    click.option("--prefix", default="", metavar="DIR", help="Where in the image  [its root]."),
    click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out, as '*.pyc'."),
    click.option("--owner", default="0:0", metavar="UID:GID|keep", help="Whose files  [0:0]."),
    click.option(
        "--modes",
        type=click.Choice(["keep", "normal"]),
        default="keep",
        help="Permissions; normal is 0755 and 0644  [keep].",
    ),
    click.option(
        "--mtime", metavar="SECONDS|keep", help="No file is younger  [SOURCE_DATE_EPOCH, or 0]."
    ),
    click.option("--xattrs", is_flag=True, help="Extended attributes, too: user.*, capabilities."),
)


def packing(function: Function) -> Function:
    """Give a command the options, and its function a Packing as `packing`."""

    @wraps(function)
    def command(*arguments: object, **options: Any) -> Any:  # noqa: ANN401 - click's
        from kho.cli import exits  # noqa: PLC0415
        from kho.client.errors import Misused  # noqa: PLC0415

        names = ("prefix", "exclude", "owner", "modes", "mtime", "xattrs")
        mine = {name: options.pop(name) for name in names}
        try:
            found = _packing(mine)
        except Misused as error:
            exits.fail_by(error)
        return function(*arguments, packing=found, **options)

    made: Function = command
    for option in reversed(_OPTIONS):
        made = option(made)
    return made


def compressing(function: Function) -> Function:
    """Give a command --compression, and its function a Compression as `compression`."""

    @click.option(
        "--compression",
        type=click.Choice(["gzip", "zstd", "none"]),
        default="gzip",
        help="Of new layers  [gzip].",
    )
    @wraps(function)
    def command(*arguments: object, compression: str, **options: Any) -> Any:  # noqa: ANN401
        found = _compression(compression)
        return function(*arguments, compression=found, **options)

    return command


def _compression(name: str) -> "Compression":
    from kho.layers.compression import Compression  # noqa: PLC0415

    return Compression[name.upper()]


def _packing(options: dict[str, Any]) -> "Packing":
    from kho.client.building.pack import Modes, Packing  # noqa: PLC0415

    return Packing(
        options["prefix"],
        options["exclude"],
        _owner(options["owner"]),
        Modes(options["modes"]),
        _latest(options["mtime"]),
        options["xattrs"],
    )


def _owner(text: str) -> tuple[int, int] | None:
    from kho.client.errors import Misused  # noqa: PLC0415

    if text == "keep":
        return None
    uid, _, gid = text.partition(":")
    if not (uid.isdigit() and gid.isdigit()) or max(int(uid), int(gid)) >= 1 << 32:
        raise Misused(f"--owner {text!a:.50}: expected UID:GID in numbers, or keep")
    return int(uid), int(gid)


def _latest(text: str | None) -> int | None:
    from kho.client.errors import Misused  # noqa: PLC0415

    given = text if text is not None else os.environ.get("SOURCE_DATE_EPOCH") or "0"
    if given == "keep":
        return None
    if not (given.isascii() and given.isdigit() and len(given) < 12):  # noqa: PLR2004
        raise Misused(f"--mtime {given!a:.50}: expected seconds since 1970, or keep")
    return int(given)
