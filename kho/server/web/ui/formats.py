"""How templates show sizes, times, numbers and icons."""

from collections.abc import Callable
from datetime import UTC, datetime
from time import time
from typing import Any, Final

from babel.dates import format_datetime
from babel.numbers import format_decimal
from markupsafe import Markup

from kho.server.web.ui.icons import shapes

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP: Final = 1000
_SHORT_DIGEST: Final = 12
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400
_MONTH: Final = 30 * _DAY
_YEAR: Final = 365 * _DAY

_ICON: Final = Markup('<svg class="icon" {}><use href="#i-{}"/></svg>')

Gettext = Callable[[str], str]
Ngettext = Callable[[str, str, int], str]


def filters(language: str, gettext: Gettext, ngettext: Ngettext) -> dict[str, Callable[..., Any]]:
    """The filters of one language."""

    def number(value: float) -> str:
        return str(format_decimal(value, locale=language))

    def size(value: float) -> str:
        """Bytes as people read them: 1.5 MB is 1,500,000."""
        unit = 0
        shown = float(value)
        while shown >= _STEP and unit < len(_UNITS) - 1:
            shown /= _STEP
            unit += 1
        digits = "0" if unit == 0 or shown >= 100 else "0.#"  # noqa: PLR2004
        return f"{format_decimal(shown, format=digits, locale=language)} {_UNITS[unit]}"

    def ago(milliseconds: int | None) -> Markup:
        """A moment: how long ago, with the exact time beside it."""
        if not milliseconds:
            return Markup('<span class="soft">{}</span>').format(gettext("never"))
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
        exact = format_datetime(moment, "medium", locale=language)
        text = _ago(max(0.0, time() - milliseconds / 1000), gettext, ngettext)
        return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
            moment.isoformat(timespec="seconds"), exact, text
        )

    def moment(milliseconds: int) -> str:
        """The exact time."""
        when = datetime.fromtimestamp(milliseconds / 1000, UTC)
        return f"{format_datetime(when, 'medium', locale=language)} UTC"

    return {
        "number": number,
        "size": size,
        "ago": ago,
        "moment": moment,
        "short": short,
    }


def _ago(seconds: float, gettext: Gettext, ngettext: Ngettext) -> str:
    steps: tuple[tuple[int, int, str, str], ...] = (
        (_HOUR, _MINUTE, "%(count)s minute ago", "%(count)s minutes ago"),
        (_DAY, _HOUR, "%(count)s hour ago", "%(count)s hours ago"),
        (2 * _MONTH, _DAY, "%(count)s day ago", "%(count)s days ago"),
        (2 * _YEAR, _MONTH, "%(count)s month ago", "%(count)s months ago"),
    )
    if seconds < _MINUTE:
        return gettext("just now")
    for below, unit, one, many in steps:
        if seconds < below:
            count = int(seconds // unit)
            return ngettext(one, many, count) % {"count": count}
    count = int(seconds // _YEAR)
    return ngettext("%(count)s year ago", "%(count)s years ago", count) % {"count": count}


def short(digest: str) -> str:
    """The first twelve digits of a digest."""
    return str(digest).partition(":")[2][:_SHORT_DIGEST] or str(digest)


def icon(name: str, label: str = "") -> Markup:
    """A drawing; with a label it is one for screen readers too."""
    told = Markup('aria-hidden="true"')
    if label:
        told = Markup('role="img" aria-label="{}"').format(label)
    if name not in shapes():
        raise KeyError(name)
    return _ICON.format(told, name)
