"""A terminal, as far as bars need one: what is to be seen after all that was written."""

import re
from typing import Final

_WRITTEN: Final = re.compile(r"\x1b\[(\??[0-9]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


def seen(text: str) -> list[str]:
    """The lines on the screen, without empty ones at the end."""
    rows = [""]
    row = column = 0
    for number, command, move, words in _WRITTEN.findall(text):
        if command == "A":
            row = max(0, row - int(number or 1))
        elif command == "K":
            rows[row] = ""
        elif move == "\r":
            column = 0
        elif move == "\n":
            row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
        elif words:
            line = rows[row].ljust(column)
            rows[row] = line[:column] + words + line[column + len(words) :]
            column += len(words)
    while rows and not rows[-1].strip():
        rows.pop()
    return rows
