"""Numbers and sizes as a language writes them; some hundreds of them are on a page."""

from typing import Final

from babel.numbers import format_decimal, get_decimal_symbol, get_group_symbol

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP: Final = 1000
_NEXT: Final = 999.5  # what would be written as 1000
_WHOLE: Final = 99.95  # from here on without a decimal


class Numbers:
    """The signs of one language, looked up once: babel's own functions look each time."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._group = get_group_symbol(language)
        self._decimal = get_decimal_symbol(language)

    def number(self, value: float) -> str:
        """With its groups: 12,345."""
        if isinstance(value, int):
            return f"{value:,}".replace(",", self._group)
        return str(format_decimal(value, locale=self._language))

    def size(self, value: float) -> str:
        """Bytes as people read them: 1.5 MB is 1,500,000."""
        unit = 0
        shown = float(value)
        while shown >= _NEXT and unit < len(_UNITS) - 1:
            shown /= _STEP
            unit += 1
        digits = 0 if unit == 0 or shown >= _WHOLE else 1
        text = f"{shown:.{digits}f}".removesuffix(".0").replace(".", self._decimal)
        return f"{text} {_UNITS[unit]}"

    def percent(self, part: float, whole: float) -> str:
        """A part of a whole, with one decimal, so that a column of them stands in line."""
        return f"{100 * part / (whole or 1):.1f}".replace(".", self._decimal) + "%"
