"""How templates show sizes, times, numbers and icons."""

import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from time import time
from typing import Any, Final
from urllib.parse import quote_from_bytes

from babel.dates import format_datetime
from markupsafe import Markup

from kho.server.inspection.packed import Entry
from kho.server.registry.contents.secrecy import MASK, masked, why
from kho.server.web.ui.icons import shapes
from kho.server.web.ui.numbers import Numbers
from kho.server.web.ui.wording import begins_with_a_value, in_english, in_words

_SHORT_DIGEST: Final = 12
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400
_MONTH: Final = 30 * _DAY
_YEAR: Final = 365 * _DAY

_ICON: Final = Markup('<svg class="icon" {}><use href="#i-{}"/></svg>')

_KINDS: Final = {
    "f": stat.S_IFREG,
    "h": stat.S_IFREG,
    "d": stat.S_IFDIR,
    "i": stat.S_IFDIR,
    "l": stat.S_IFLNK,
    "c": stat.S_IFCHR,
    "b": stat.S_IFBLK,
    "p": stat.S_IFIFO,
}

Gettext = Callable[[str], str]
Ngettext = Callable[[str, str, int], str]


def filters(language: str, gettext: Gettext, ngettext: Ngettext) -> dict[str, Callable[..., Any]]:
    """The filters of one language."""
    numbers = Numbers(language)

    return {
        **_times(language, gettext, ngettext),
        "number": numbers.number,
        "size": numbers.size,
        "percent": numbers.percent,
        "short": short,
        "bytes_text": bytes_text,
        "bytes_url": quote_from_bytes,
        "bytes_join": lambda folder, name: folder + b"/" + name if folder else name,
        "mode": mode,
        "masked": hidden,
        "worded": partial(in_words, gettext=gettext),
        "in_english": in_english,
        "verbatim": partial(begins_with_a_value, gettext=gettext),
        "pretty": pretty,
        "tojson_text": words,
    }


def _times(language: str, gettext: Gettext, ngettext: Ngettext) -> dict[str, Callable[..., Any]]:
    """Those of moments."""

    @lru_cache(maxsize=4096)
    def exact_of(second: int) -> str:
        when = datetime.fromtimestamp(second, UTC)
        return str(format_datetime(when, "medium", locale=language))

    def ago(milliseconds: int | None) -> Markup:
        """A moment: how long ago, with the exact time beside it."""
        if not milliseconds:
            return Markup('<span class="soft">{}</span>').format(gettext("never"))
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
        exact = exact_of(milliseconds // 1000)
        text = _ago(max(0.0, time() - milliseconds / 1000), gettext, ngettext)
        return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
            moment.isoformat(timespec="seconds"), exact, text
        )

    def ahead(milliseconds: int) -> Markup:
        """A moment to come: in how long, with the exact time beside it."""
        when = datetime.fromtimestamp(milliseconds / 1000, UTC)
        exact = format_datetime(when, "medium", locale=language)
        text = _ahead(max(0.0, milliseconds / 1000 - time()), gettext, ngettext)
        return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
            when.isoformat(timespec="seconds"), exact, text
        )

    def stamp(milliseconds: int) -> Markup:
        """The exact time, in a form that is equal in all languages; UTC."""
        when = datetime.fromtimestamp(milliseconds / 1000, UTC)
        ago = _ago(max(0.0, time() - milliseconds / 1000), gettext, ngettext)
        return Markup('<time datetime="{}" title="{}">{:%Y-%m-%d %H:%M:%S}</time>').format(
            when.isoformat(timespec="milliseconds"), ago, when
        )

    def moment(milliseconds: int) -> str:
        """The exact time."""
        when = datetime.fromtimestamp(milliseconds / 1000, UTC)
        return f"{format_datetime(when, 'medium', locale=language)} UTC"

    return {"ago": ago, "ahead": ahead, "moment": moment, "stamp": stamp}


def told(one: str, many: str) -> tuple[str, str]:
    """Marks what is said later, for `make texts`."""
    return one, many


def _ago(seconds: float, gettext: Gettext, ngettext: Ngettext) -> str:
    steps: tuple[tuple[int, int, str, str], ...] = (
        (_HOUR, _MINUTE, *told("%(count)s minute ago", "%(count)s minutes ago")),
        (_DAY, _HOUR, *told("%(count)s hour ago", "%(count)s hours ago")),
        (2 * _MONTH, _DAY, *told("%(count)s day ago", "%(count)s days ago")),
        (2 * _YEAR, _MONTH, *told("%(count)s month ago", "%(count)s months ago")),
    )
    if seconds < _MINUTE:
        return gettext("just now")
    for below, unit, one, many in steps:
        if seconds < below:
            count = int(seconds // unit)
            return ngettext(one, many, count) % {"count": count}
    count = int(seconds // _YEAR)
    return ngettext("%(count)s year ago", "%(count)s years ago", count) % {"count": count}


def _ahead(seconds: float, gettext: Gettext, ngettext: Ngettext) -> str:
    steps: tuple[tuple[int, str, str], ...] = (
        (_DAY, *told("in %(count)s day", "in %(count)s days")),
        (_HOUR, *told("in %(count)s hour", "in %(count)s hours")),
        (_MINUTE, *told("in %(count)s minute", "in %(count)s minutes")),
    )
    for unit, one, many in steps:
        count = round(seconds / unit)
        if count >= (2 if unit > _MINUTE else 1):
            return ngettext(one, many, count) % {"count": count}
    return gettext("in a moment")


def short(digest: str) -> str:
    """The first twelve digits of a digest."""
    return str(digest).partition(":")[2][:_SHORT_DIGEST] or str(digest)


def bytes_text(value: bytes) -> str:
    """A path as far as it can be read; control characters and other bytes are escaped."""
    text = value.decode("utf-8", "backslashreplace")
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def mode(entry: Entry) -> str:
    """As `ls -l` shows kind and permissions."""
    kind = _KINDS.get(entry.kind.value, 0)
    return stat.filemode(kind | (entry.mode & 0o7777))


def pretty(text: str) -> str:
    """JSON, indented; other text as it is."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def hidden(value: str, name: str = "") -> str:
    """A text, or what stands under a name, without what looks secret."""
    return MASK if name and why(name, value) else masked(value)


def words(value: object) -> str:
    """A list as JSON, to be shown."""
    return json.dumps(value, ensure_ascii=False)


@lru_cache(maxsize=1024)
def icon(name: str, label: str = "") -> Markup:
    """A drawing; with a label it is one for screen readers too."""
    told = Markup('aria-hidden="true"')
    if label:
        told = Markup('role="img" aria-label="{}"').format(label)
    if name not in shapes():
        raise KeyError(name)
    return _ICON.format(told, name)
