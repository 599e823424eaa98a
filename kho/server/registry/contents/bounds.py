"""How much is told of what a pusher has written: manifests have up to 4 MiB, configs 1 MiB.

    a value   1,000 characters     a name   256     a list   100 entries     a text   64 KiB

What is left out is counted beside it; all of it stands in the manifest and its blobs.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Final

ENTRIES: Final = 100
NAME: Final = 256
VALUE: Final = 1000
TEXT: Final = 64 * 1024
# What is looked through for secrets behind the end of what is shown: one may begin before it.
MARGIN: Final = 20_000


def cut(text: str, most: int) -> tuple[str, int]:
    """Its beginning, and how many characters are left out."""
    return text[:most], max(0, len(text) - most)


def some(pairs: Mapping[str, object], most: int = ENTRIES) -> dict[str, str]:
    """The first texts among them, and of these no more than anybody looks at."""
    texts = ((name, value) for name, value in pairs.items() if isinstance(value, str))
    return {name: value[: VALUE + MARGIN] for name, value in islice(texts, most)}
