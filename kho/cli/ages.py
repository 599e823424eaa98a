"""Times as people read them: `3 weeks ago`."""

from datetime import UTC, datetime
from typing import Final

# From how many seconds on a unit is used; months and years are as long as most are.
_UNITS: Final = (
    ("year", 31_536_000 * 2),
    ("month", 2_592_000 * 2),
    ("week", 604_800 * 2),
    ("day", 86_400 * 2),
    ("hour", 3600 * 2),
    ("minute", 60 * 2),
)
_SECONDS: Final = {
    "year": 31_536_000,
    "month": 2_592_000,
    "week": 604_800,
    "day": 86_400,
    "hour": 3600,
    "minute": 60,
}
_FIRST_YEAR: Final = 1970


def age(text: str, now: datetime | None = None) -> str:
    """How long ago an RFC 3339 time was; nothing for what is none, or before there were images."""
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        return ""
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    if then.year < _FIRST_YEAR:
        return ""
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    for unit, least in _UNITS:
        if seconds >= least:
            return f"{seconds // _SECONDS[unit]:.0f} {unit}s ago"
    return f"{max(seconds, 0):.0f} seconds ago"
