"""Why a layer is not read further."""

from typing import Final

_SHOWN: Final = 200


class LayerRefused(Exception):
    """A layer that breaks its format or a limit; one line that names the entry and the rule."""


def shown(path: bytes) -> str:
    """A path of a layer for one line of text: not too long, nothing that moves a terminal."""
    text = path.decode("utf-8", "backslashreplace")
    printable = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text[:_SHOWN])
    return f"{printable}..." if len(text) > _SHOWN else printable
