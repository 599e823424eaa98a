"""`khod tokens`: access tokens of users and robots."""

import re
from typing import Final

import click

from kho.server.commands.audit import iso
from kho.server.commands.operator import OPERATOR, Command, as_json, fail, operation, run, show
from kho.server.index.errors import Invalid
from kho.server.index.tokens import access_tokens
from kho.server.index.tokens.access_tokens import LIFETIMES, AccessToken
from kho.server.resources import Resources

_COLUMNS = ("id", "owner", "name", "scopes", "created_at", "expires_at", "last_used_at")
_LIFETIME: Final = re.compile(r"([1-9][0-9]{0,5})([mhdw])")
_UNIT: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DAYS: Final = {kind: round(seconds / 86_400) for kind, seconds in LIFETIMES.items()}


@click.group("tokens")
def group() -> None:
    """Access tokens of users and robots: the password of `docker login`, for machines."""


def _owner(command: Command) -> Command:
    """Add --user and --robot."""
    command = click.option("--robot", metavar="NAME", help="The robot whose token it is.")(command)
    return click.option("--user", metavar="NAME", help="The user whose token it is.")(command)


def _subject(user: str | None, robot: str | None) -> str | None:
    if user is not None and robot is not None:
        fail("give --user or --robot, not both", code=2)
    if user is not None:
        return f"user:{user}"
    return None if robot is None else f"robot:{robot}"


@group.command("create")
@_owner
@click.option("--name", required=True, help="What the token is called in lists.")
@click.option(
    "--scope",
    "scopes",
    metavar="GLOB:ACTION[,ACTION]",
    multiple=True,
    help="All that the token may do, at most: 'team/**:pull,push'. May be repeated.",
)
@click.option(
    "--expires",
    metavar="WHEN",
    help="12h, 30d, 8w or never"
    f"  [{_DAYS['personal']}d for a user, {_DAYS['robot']}d for a robot].",
)
@operation
def create_command(
    *,
    user: str | None,
    robot: str | None,
    name: str,
    scopes: tuple[str, ...],
    expires: str | None,
    **flags: object,
) -> None:
    """Make a token and print it, alone: it is shown this once."""
    owner = _subject(user, robot)
    if owner is None:
        fail("whose token? give --user NAME or --robot NAME", code=2)
    try:
        ceiling = access_tokens.parse_ceiling(scopes)
        seconds = 0.0 if expires is None else lifetime(expires)
    except Invalid as error:
        fail(str(error), code=2)

    async def work(resources: Resources) -> access_tokens.Made:
        return await access_tokens.create(
            resources, owner, name, ceiling=ceiling, seconds=seconds, by=OPERATOR
        )

    made = run(flags, work)
    click.echo(made.secret)
    end = "never ends" if made.seconds is None else f"ends in {_in_words(made.seconds)}"
    most = ", ".join(access_tokens.told_ceiling(ceiling) or ["all that its owner may do"])
    click.echo(f"khod: token {name} of {owner} {end}; it may do, at most: {most}", err=True)


group.add_command(create_command, "add")


def lifetime(text: str) -> float | None:
    """Seconds; None is without an end. Raises Invalid."""
    if text == "never":
        return None
    match = _LIFETIME.fullmatch(text)
    if match is None:
        raise Invalid(f"--expires {text!a}: allowed are never, or a time such as 90m, 12h, 30d, 8w")
    return float(int(match[1]) * _UNIT[match[2]])


def _in_words(seconds: float) -> str:
    for unit, word in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {word}"
    return f"{seconds:.0f} seconds"


@group.command("list")
@_owner
@as_json
@operation
def list_command(
    *, user: str | None, robot: str | None, json_wanted: bool, **flags: object
) -> None:
    """List tokens, without their secrets, which nobody knows."""
    owner = _subject(user, robot)
    rows = run(flags, lambda resources: access_tokens.every(resources, owner))
    told = [_told(row) for row in rows]
    if not json_wanted:
        told = [{**one, "scopes": _in_line(row)} for one, row in zip(told, rows, strict=True)]
    show(told, _COLUMNS, json_wanted=json_wanted)


def _in_line(row: AccessToken) -> str:
    return " ".join(access_tokens.told_ceiling(row.ceiling) or ["all"])


@group.command("revoke")
@click.argument("token", metavar="NAME|ID")
@_owner
@operation
def revoke_command(*, token: str, user: str | None, robot: str | None, **flags: object) -> None:
    """End a token at once, with the logins that were made with it."""
    owner = _subject(user, robot)
    row = run(flags, lambda resources: access_tokens.revoke(resources, token, owner, by=OPERATOR))
    click.echo(f"khod: token {row.name} of {row.owner} is revoked", err=True)


group.add_command(revoke_command, "remove")


def _told(row: AccessToken) -> dict[str, object]:
    return {
        "id": row.id,
        "owner": row.owner,
        "name": row.name,
        "scopes": access_tokens.told_ceiling(row.ceiling),
        "created_at": iso(row.created_at),
        "expires_at": None if row.expires_at is None else iso(row.expires_at),
        "expired": row.expired,
        "last_used_at": None if row.last_used_at is None else iso(row.last_used_at),
    }
