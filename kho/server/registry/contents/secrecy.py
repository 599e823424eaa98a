"""What looks like a secret, in environments, labels and commands: flagged, and masked unless asked.

Anybody who may pull an image can read what is in it. The mask is for screens, and for those who do
not know that their key is in there; it guesses by names and by the shape of values.
"""

import re
from collections.abc import Iterable
from typing import Final, Literal

Why = Literal["", "name", "value"]

MASK: Final = "••••••"
_SHORTEST: Final = 6  # shorter values are not looked for inside of other text

_NAME: Final = re.compile(
    r"token|passw|passphrase|secret|credential|(?:^|[_.-])pwd(?:$|[_.-])|(?:^|[_.-])keys?(?:$|[_.0-9-])"
    r"|(?:api|access|private|signing|encryption)_?key|auth(?:$|[_.-])",
    re.IGNORECASE,
)
# Keys that are published on purpose: Python's images name who signed them.
_OPEN_NAME: Final = re.compile(r"gpg_?keys?|public|_pub(?:$|_)|keyring|key_?server", re.IGNORECASE)
_VALUE: Final = re.compile(
    r"(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Z])"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----"
    r"(?:[^-]{0,16384}-----END [A-Z ]{0,40}PRIVATE KEY-----)?"
    r"|(?<![0-9A-Za-z_-])eyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*"
    r"|gh[pousr]_[0-9A-Za-z]{30,}|github_pat_[0-9A-Za-z_]{20,}|glpat-[0-9A-Za-z_-]{20,}"
    r"|xox[abprs]-[0-9A-Za-z-]{10,}|kho[a-z]_[0-9A-Za-z]{16,}"
    r"|(?<=://)[^\s/:@]{0,256}:[^\s/@]{1,1024}(?=@)"
)
_SETTING: Final = re.compile(
    r"""(?<![A-Za-z0-9_.])([A-Za-z_][A-Za-z0-9_.-]{0,127})=("[^"]*"|'[^']*'|[^\s"']+)"""
)
# What stands for a value is none: $TOKEN, ${TOKEN}, $(cat ...), true, 0.
_NO_VALUE: Final = re.compile(
    r"[\"']?(?:\$.*|true|false|yes|no|none|[0-9]|)[\"']?", re.IGNORECASE | re.DOTALL
)


def why(name: str, value: str) -> Why:
    """Whether a setting looks secret, and by what."""
    if _VALUE.search(value):
        return "value"
    if _NO_VALUE.fullmatch(value) or _OPEN_NAME.search(name):
        return ""
    return "name" if _NAME.search(name) else ""


def masked(text: str, known: Iterable[str] = ()) -> str:
    """A command or another text, without what looks secret in it, or is `known` to be."""
    for secret in known:
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, MASK)
    text = _VALUE.sub(MASK, text)
    return _SETTING.sub(_setting, text)


def _setting(found: re.Match[str]) -> str:
    name, value = found[1], found[2]
    return f"{name}={MASK}" if why(name, value) else found[0]
