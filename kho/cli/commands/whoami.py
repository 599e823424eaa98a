"""`kho whoami [HOST[/PATH]]`."""

from typing import TYPE_CHECKING

import click

from kho.cli import exits, shown
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire
    from kho.client.logins.credentials import Place
    from kho.client.logins.standing import Standing


@click.command("whoami")
@click.argument("host", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, or a list without HOST.")
@wired
async def command(wire: "Wire", host: str | None, *, as_json: bool) -> None:
    """Tell who you are at a registry, and whether the login still holds.

    Without HOST, every login that is known is listed, and no registry is asked.
    """
    if host is None:
        places = await wire.keychain.places()
        if as_json:
            shown.as_json([_told(one) for one in places])
            return
        for one in places:
            shown.line(_line(one))
        if not places:
            shown.line("not logged in anywhere", err=True)
        return
    await _one(wire, host, as_json=as_json)


async def _one(wire: "Wire", host: str, *, as_json: bool) -> None:
    from kho.client.logins import standing  # noqa: PLC0415
    from kho.oci.reference import parse_host  # noqa: PLC0415

    name, _, path = host.removeprefix("https://").rstrip("/").partition("/")
    registry = wire.registry(parse_host(name))
    found = await wire.keychain.locate(registry.name, path or None)
    if found is None:
        exits.fail(f"not logged in to {host}", exits.NOT_ALLOWED)
    credential, place = found
    state = await standing.ask(registry, credential)
    if as_json:
        shown.as_json({**_told(place), **_checked(state)})
    else:
        subject = f" as {state.subject}" if state.subject else ""
        shown.line(f"{_line(place)}: {state.state}{subject}")
    if state.told is not None:
        shown.line(f"kho: {state.told}", err=True)
    if state.state == standing.REFUSED:
        raise SystemExit(exits.NOT_ALLOWED)
    if state.state == standing.UNKNOWN:
        raise SystemExit(exits.UNREACHABLE)


def _told(place: "Place") -> dict[str, object]:
    user = place.username or None
    return {"host": place.key, "user": user, "kept": place.place, "kind": place.kind.value}


def _checked(state: "Standing") -> dict[str, object]:
    return {"state": state.state, "subject": state.subject}


def _line(place: "Place") -> str:
    user = f" {place.username}" if place.username else ""
    return f"{place.key}:{user} ({place.kind.value}, kept in {place.place})"
