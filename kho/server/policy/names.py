"""Names of users, groups, robots, tokens and rules."""

import re
from typing import Final

from kho.oci.errors import Words

RESERVED: Final = ("anonymous", "everyone", "operator")
ALLOWED_TEXT: Final = Words(
    "1 to 128 small letters, digits and . _ @ -, beginning with a letter or digit, and not one of"
    " anonymous, everyone, operator"
)
_GRAMMAR: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,127}", re.ASCII)


def fits(text: str) -> bool:
    """Whether it keeps to the grammar of names, reserved or not."""
    return _GRAMMAR.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether an account, a group or the like may be called that."""
    return fits(text) and text not in RESERVED
