"""What lists can be narrowed down by, as addresses and forms have it."""

import time
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import urlencode

from kho.server.web.request import Request

KINDS: Final = ("image", "index", "artifact")
DAYS: Final = (1, 7, 30, 90, 365)
# Offered to choose from; any other can stand in the address.
PLATFORMS: Final = (
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7",
    "linux/386",
    "linux/ppc64le",
    "linux/riscv64",
    "linux/s390x",
    "windows/amd64",
)
_VISIBILITY: Final = {"public": True, "private": False}
_LONGEST: Final = 255
_DAY: Final = 86_400


class Choices(NamedTuple):
    """What the address of a list asks for; "" and 0 ask nothing."""

    visibility: str
    kind: str
    platform: str
    days: int

    @property
    def public(self) -> bool | None:
        """Whether to list what all may pull, or the rest; None for both."""
        return _VISIBILITY.get(self.visibility)

    @property
    def platforms(self) -> tuple[str, ...]:
        """To choose from."""
        own = (self.platform,) if self.platform not in ("", *PLATFORMS) else ()
        return (*PLATFORMS, *own)

    @property
    def pushed_after(self) -> int | None:
        """Milliseconds."""
        return int((time.time() - self.days * _DAY) * 1000) if self.days else None


def read(request: Request) -> Choices:
    """What is unknown asks nothing."""
    days = request.query("days") or ""
    return Choices(
        visibility=_one_of(_VISIBILITY, request.query("visibility")),
        kind=_one_of(KINDS, request.query("kind")),
        platform=text(request, "platform"),
        days=next((one for one in DAYS if str(one) == days), 0),
    )


def text(request: Request, key: str) -> str:
    """What was typed, without space around it."""
    return (request.query(key) or "").strip()[:_LONGEST]


def with_query(request: Request, keys: tuple[str, ...], /, **changes: object) -> str:
    """The page's own address with some of its query kept and some of it changed; "" goes."""
    kept = {key: request.query(key) or "" for key in keys if key not in changes}
    return address("", **{**kept, **changes}) or "?"


def address(path: str, **query: object) -> str:
    """A path with a query; "" goes."""
    given = {key: str(value) for key, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def _one_of(allowed: Iterable[str], given: str | None) -> str:
    return next((one for one in allowed if one == given), "")
