"""The options of commands that say how an image is run and what is said of it."""

import json
import os
import shlex
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from kho.client.building.mutate import Change, Changes

Function = Callable[..., Any]
_PORT: Final = 65535

_WORDS: Final = (
    click.option("--label", "labels", multiple=True, metavar="K=V", help="Set a label."),
    click.option("--env", multiple=True, metavar="K=V", help="Set a variable."),
    click.option(
        "--annotation", "annotations", multiple=True, metavar="K=V", help="Annotate the manifest."
    ),
    click.option("--entrypoint", metavar="WORDS", help='As "/app --serve", or a JSON list.'),
    click.option("--cmd", metavar="WORDS", help="The same for the command."),
    click.option("--user", metavar="USER[:GROUP]", help="Whom it runs as."),
    click.option("--workdir", metavar="DIR", help="Where it starts."),
    click.option("--expose", multiple=True, metavar="PORT[/PROTO]", help="A port it listens on."),
    click.option("--volume", "volumes", multiple=True, metavar="DIR", help="A folder for data."),
    click.option("--stop-signal", metavar="SIGNAL", help="What ends it, as SIGINT."),
    click.option(
        "--created", metavar="TIME", help="RFC 3339, or seconds since 1970  [SOURCE_DATE_EPOCH]."
    ),
    click.option("--author", metavar="TEXT", help="Who made it."),
)
_REMOVALS: Final = (
    click.option("--remove-label", multiple=True, metavar="K", help="Take a label away."),
    click.option("--remove-env", multiple=True, metavar="K", help="Take a variable away."),
    click.option("--remove-annotation", multiple=True, metavar="K", help="Take it away."),
    click.option("--remove-expose", multiple=True, metavar="PORT[/PROTO]", help="Take it away."),
    click.option("--remove-volume", multiple=True, metavar="DIR", help="Take it away."),
    click.option("--set-platform", metavar="OS/ARCH", help="Say that it is for this."),
)
_NAMES: Final = (
    *("labels", "env", "annotations", "entrypoint", "cmd", "user", "workdir", "expose"),
    *("volumes", "stop_signal", "created", "author"),
)
_REMOVAL_NAMES: Final = (
    *("remove_label", "remove_env", "remove_annotation", "remove_expose", "remove_volume"),
    "set_platform",
)


def changing(*, removals: bool = False) -> Callable[[Function], Function]:
    """Give a command the options, and its function a Change as `change`."""

    def decorated(function: Function) -> Function:
        @wraps(function)
        def command(*arguments: object, **options: Any) -> Any:  # noqa: ANN401 - click's
            from kho.cli import exits  # noqa: PLC0415
            from kho.client.errors import Misused  # noqa: PLC0415
            from kho.oci.platform import PlatformInvalid  # noqa: PLC0415

            words = _NAMES + (_REMOVAL_NAMES if removals else ())
            mine = {name: options.pop(name) for name in words}
            try:
                change = _change(mine)
            except (Misused, PlatformInvalid) as error:
                exits.fail_by(error)
            return function(*arguments, change=change, **options)

        found: Function = command
        for option in reversed(_WORDS + (_REMOVALS if removals else ())):
            found = option(found)
        return found

    return decorated


def _change(options: dict[str, Any]) -> "Change":
    from kho.client.building.mutate import Change  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415

    platform = options.get("set_platform")
    return Change(
        labels=_pairs("label", options["labels"], options.get("remove_label", ())),
        env=_pairs("env", options["env"], options.get("remove_env", ())),
        annotations=_pairs(
            "annotation", options["annotations"], options.get("remove_annotation", ())
        ),
        entrypoint=words("--entrypoint", options["entrypoint"]),
        command=words("--cmd", options["cmd"]),
        user=options["user"],
        working_dir=_absolute("--workdir", options["workdir"]),
        stop_signal=options["stop_signal"],
        ports=_set(map(_port, options["expose"]), map(_port, options.get("remove_expose", ()))),
        volumes=_set(options["volumes"], options.get("remove_volume", ())),
        created=created(options["created"]),
        author=options["author"],
        platform=None if platform is None else Platform.parse(platform),
    )


def pairs(name: str, given: Sequence[str]) -> dict[str, str]:
    """`K=V` by K; raise Misused."""
    from kho.client.errors import Misused  # noqa: PLC0415

    found: dict[str, str] = {}
    for one in given:
        key, sign, value = one.partition("=")
        if not sign or not key:
            raise Misused(f"--{name} {one!a:.100}: expected NAME=VALUE")
        found[key] = value
    return found


def _pairs(name: str, given: Sequence[str], removed: Sequence[str]) -> "Changes":
    return {**dict.fromkeys(removed), **pairs(name, given)}


def _set(given: Any, removed: Any) -> dict[str, bool]:  # noqa: ANN401 - any iterables
    return {**dict.fromkeys(removed, False), **dict.fromkeys(given, True)}


def words(name: str, text: str | None) -> tuple[str, ...] | None:
    """A JSON list of strings, or words as a shell reads them; none for an empty text."""
    from kho.client.errors import Misused  # noqa: PLC0415

    if text is None:
        return None
    try:
        if not text.lstrip().startswith("["):
            return tuple(shlex.split(text))
        found = json.loads(text)
    except ValueError as error:
        raise Misused(f"{name}: {error}") from error
    if not all(isinstance(one, str) for one in found):
        raise Misused(f"{name}: expected a list of strings")
    return tuple(found)


def created(text: str | None, env: str | None = None) -> str | None:
    """RFC 3339 from itself, or from seconds; without either, SOURCE_DATE_EPOCH."""
    from kho.client.errors import Misused  # noqa: PLC0415

    given = text if text is not None else env or os.environ.get("SOURCE_DATE_EPOCH") or None
    if given is None:
        return None
    try:
        if given.isascii() and given.isdigit():
            moment = datetime.fromtimestamp(int(given), UTC)
            return moment.isoformat().replace("+00:00", "Z")
        if "T" not in given or datetime.fromisoformat(given).tzinfo is None:
            raise ValueError
    except (ValueError, OverflowError, OSError) as error:
        raise Misused(
            f"{given!a:.50} is no time: expected 2026-01-31T12:00:00Z or seconds since 1970"
        ) from error
    return given


def _port(text: str) -> str:
    """`80` is `80/tcp`, as docker writes it."""
    from kho.client.errors import Misused  # noqa: PLC0415

    number, _, protocol = text.partition("/")
    first, dash, last = number.partition("-")
    bounds = [first, last] if dash else [first]
    right = all(one.isascii() and one.isdigit() and 0 < int(one) <= _PORT for one in bounds)
    if not right or protocol not in ("", "tcp", "udp", "sctp"):
        raise Misused(f"--expose {text!a:.50}: expected a port, as 80 or 53/udp")
    return f"{number}/{protocol or 'tcp'}"


def _absolute(name: str, text: str | None) -> str | None:
    from kho.client.errors import Misused  # noqa: PLC0415

    if text and not text.startswith("/") and ":" not in text:  # Windows has C:\
        raise Misused(f"{name} {text!a:.100}: expected an absolute path")
    return text
