"""Repository names and tags, read strictly (distribution-spec, "Pulling manifests")."""

import re
from functools import lru_cache
from typing import Final

from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import NameInvalid, TagInvalid

# Many clients limit `host[:port]/name` to 255 characters in all; this is the registry's own bound.
NAME_LENGTH: Final = 255
TAG_LENGTH: Final = 128

# Linear time: every separator run is followed by at least one letter or digit.
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)


@lru_cache(maxsize=8192)
def parse_name(text: str) -> str:
    """Return the repository name, or raise NameInvalid."""
    if len(text) > NAME_LENGTH or _NAME.fullmatch(text) is None:
        raise NameInvalid(
            "not a repository name: lower-case letters and digits in components divided by '/', "
            f"inside them single '.', '_', '__' or '-'; at most {NAME_LENGTH} characters",
            detail={"name": text[: NAME_LENGTH + 1]},
        )
    return text


@lru_cache(maxsize=8192)
def parse_tag(text: str) -> str:
    """Return the tag, or raise TagInvalid."""
    if _TAG.fullmatch(text) is None:
        raise TagInvalid(
            "not a tag: letters, digits, '_', '.', '-', not starting with '.' or '-', "
            f"at most {TAG_LENGTH} characters",
            detail={"tag": text[: TAG_LENGTH + 1]},
        )
    return text


def parse_reference(text: str) -> Digest | str:
    """Read the last part of a manifest URL: a digest where it has a colon, else a tag."""
    return parse_digest(text) if ":" in text else parse_tag(text)
