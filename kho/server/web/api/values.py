"""Values that several operations take or tell."""

from datetime import UTC, datetime
from typing import Annotated, Final

from msgspec import Meta

from kho.oci.errors import NameInvalid
from kho.oci.reference import parse_name
from kho.server.index.errors import NotFound
from kho.server.web.api.problems import Mistakes

Time = Annotated[datetime, Meta(tz=True)]
NAME: Final = "1 to 128 of a-z, 0-9 and . _ @ -, beginning with a letter or digit"
Name = Annotated[
    str, Meta(pattern="^[a-z0-9][a-z0-9._@-]*$", min_length=1, max_length=128, description=NAME)
]
Password = Annotated[
    str, Meta(min_length=8, max_length=1024, description="8 to 1024 bytes of UTF-8")
]
Subject = Annotated[
    str,
    Meta(max_length=140, description="user:NAME, group:NAME, robot:NAME, everyone or anonymous"),
]
Pattern = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        description="a glob of repositories: * stands for part of a component, ** for any number",
    ),
]
_MOST_DIGITS: Final = 16


def time_of(milliseconds: int) -> datetime:
    """A time of a row."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def time_or_none(milliseconds: int | None) -> datetime | None:
    """A time of a row, if it has one."""
    return None if milliseconds is None else time_of(milliseconds)


def number_of(text: str) -> int:
    """The number of a thing that a path names. Raises NotFound."""
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise NotFound("there is nothing of the number %(text)s", text=ascii(text[:80]))
    return int(text)


def repository_of(text: str, field: str) -> str:
    """A repository's name in a query or body. Raises Mistakes."""
    try:
        return parse_name(text)
    except NameInvalid as error:
        raise Mistakes("the request is not right", [f"{field}: {error.message}"]) from None
