"""Numbers and sizes, as English and Vietnamese write them."""

import pytest

from kho.server.web.ui.numbers import Numbers


@pytest.mark.parametrize(
    "value, english, vietnamese",
    [
        (0, "0 B", "0 B"),
        (999, "999 B", "999 B"),
        (1000, "1 kB", "1 kB"),
        (1500, "1.5 kB", "1,5 kB"),
        (99_940, "99.9 kB", "99,9 kB"),
        (99_950, "100 kB", "100 kB"),
        (999_949, "1 MB", "1 MB"),
        (1_250_000, "1.2 MB", "1,2 MB"),
        (10**15, "1 PB", "1 PB"),
        (2 * 10**18, "2000 PB", "2000 PB"),
    ],
)
def test_sizes(value: int, english: str, vietnamese: str) -> None:
    assert Numbers("en").size(value) == english
    assert Numbers("vi").size(value) == vietnamese


def test_numbers() -> None:
    assert Numbers("en").number(1_234_567) == "1,234,567"
    assert Numbers("vi").number(1_234_567) == "1.234.567"
    assert Numbers("vi").number(2.5) == "2,5"
    assert Numbers("en").number(-12) == "-12"


def test_parts() -> None:
    assert Numbers("en").percent(1, 3) == "33.3%"
    assert Numbers("vi").percent(3, 3) == "100,0%"
    assert Numbers("en").percent(0, 0) == "0.0%"
