"""Repository names, tags and references, read strictly (distribution-spec, "Pulling manifests").

host[:port]/name[:tag][@digest]
└ docker.io where it is left out, and `library/` before a name of one component there
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Self

from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import DigestInvalid, NameInvalid, TagInvalid

# Many clients limit `host[:port]/name` to 255 characters in all; this is the registry's own bound.
NAME_LENGTH: Final = 255
TAG_LENGTH: Final = 128

# Linear time: every separator run is followed by at least one letter or digit.
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_NUMBER: Final = re.compile(r"0*([0-9]+)", re.ASCII)
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST: Final = re.compile(
    rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:.]+\])(?::[0-9]{{1,5}})?", re.ASCII
)

# The registry that is meant where no host is written, and the other names it goes by.
HUB: Final = "docker.io"
HUB_NAMES: Final = frozenset({HUB, "index.docker.io", "registry-1.docker.io"})
LATEST: Final = "latest"
_PORTS: Final = 65535


class ReferenceInvalid(ValueError):
    """Not a reference; one line that says what is allowed."""


@lru_cache(maxsize=8192)
def parse_name(text: str) -> str:
    """Return the repository name, or raise NameInvalid."""
    if len(text) > NAME_LENGTH or _NAME.fullmatch(text) is None:
        raise NameInvalid(
            "not a repository name: lower-case letters and digits in components divided"
            " by '/', inside them single '.', '_', '__' or '-'; at most %(most)s"
            " characters",
            most=NAME_LENGTH,
            detail={"name": text[: NAME_LENGTH + 1]},
        )
    return text


@lru_cache(maxsize=8192)
def parse_tag(text: str) -> str:
    """Return the tag, or raise TagInvalid."""
    if _TAG.fullmatch(text) is None:
        raise TagInvalid(
            "not a tag: letters, digits, '_', '.', '-', not starting with '.' or '-', at"
            " most %(most)s characters",
            most=TAG_LENGTH,
            detail={"tag": text[: TAG_LENGTH + 1]},
        )
    return text


def natural_key(tag: str) -> str:
    """What tags are sorted by, byte by byte, so that 1.9 comes before 1.10.

    Each number has its length before it: 1.9 is `0011.0019`, 1.10 is `0011.00210`.
    """
    return _NUMBER.sub(lambda found: f"{len(found[1]):03}{found[1]}", tag)


def parse_reference(text: str) -> Digest | str:
    """Read the last part of a manifest URL: a digest where it has a colon, else a tag."""
    return parse_digest(text) if ":" in text else parse_tag(text)


@dataclass(frozen=True, slots=True)
class Reference:
    """An image by name. With a digest the tag is only told, never asked for."""

    host: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `host/name:tag@digest` as docker does; raise ReferenceInvalid.

        Without tag and digest, the tag is `latest`.
        """
        found = cls.parse_bare(text)
        if found.tag is None and found.digest is None:
            return replace(found, tag=LATEST)
        return found

    @classmethod
    def parse_bare(cls, text: str) -> Self:
        """The same, where a repository alone is meant as a repository."""
        try:
            return cls._parse(text)
        except (NameInvalid, TagInvalid, DigestInvalid) as error:
            raise ReferenceInvalid(f"{text!a:.300} is no reference: {error}") from error

    @classmethod
    def _parse(cls, text: str) -> Self:
        name, at, digest = text.partition("@")
        host, repository = _split_host(name)
        path, colon, tag = repository.rpartition(":")
        if not colon:
            path, tag = repository, ""
        if host == HUB and "/" not in path:
            path = f"library/{path}"
        return cls(
            host,
            parse_name(path),
            parse_tag(tag) if colon else None,
            parse_digest(digest) if at else None,
        )

    @property
    def target(self) -> str:
        """What is asked of the registry: the digest where there is one, else the tag."""
        return str(self.digest or self.tag or LATEST)

    @property
    def where(self) -> str:
        """`host/name`."""
        return f"{self.host}/{self.repository}"

    def at(self, digest: Digest) -> Self:
        """The same name, by digest alone."""
        return replace(self, tag=None, digest=digest)

    def tagged(self, tag: str) -> Self:
        """The same name, by tag alone."""
        return replace(self, tag=tag, digest=None)

    def __str__(self) -> str:
        """In full, so that it is read back as the same."""
        tag = f":{self.tag}" if self.tag is not None else ""
        digest = f"@{self.digest}" if self.digest is not None else ""
        return f"{self.where}{tag}{digest}"


def parse_host(text: str) -> str:
    """Return `name[:port]` in lower case, Docker Hub by its one name; raise ReferenceInvalid."""
    host = text.lower()
    port = host.rpartition(":")[2] if re.search(r":[0-9]+$", host) else "1"
    if len(host) > NAME_LENGTH or _HOST.fullmatch(host) is None or not 0 < int(port) <= _PORTS:
        raise ReferenceInvalid(
            f"{text!a:.300} is no registry: expected a host name or address, and ':port' if need be"
        )
    return HUB if host in HUB_NAMES else host


def _split_host(name: str) -> tuple[str, str]:
    """The first component is a host where it cannot be part of a name, as docker has it."""
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        return HUB, name
    return parse_host(first), rest
