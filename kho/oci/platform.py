"""Platforms: `os/architecture[/variant]`, read, printed, matched (image-spec, image-index.md)."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

from kho.oci.errors import Worded

_PART: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
# What `uname -m` and people say, in the words of Go, which indexes are written in.
_ARCHITECTURES: Final = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv5l": ("arm", "v5"),
    "armv6l": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv8l": ("arm", "v8"),
    "loongarch64": ("loong64", ""),
}
# A variant that is the same as none, by architecture.
_PLAIN: Final = {"amd64": "v1", "arm64": "v8", "arm": "v7"}
_NUMBERED: Final = re.compile(r"v([0-9]{1,2})(?:\.([0-9]{1,2}))?", re.ASCII)


class PlatformInvalid(Worded, ValueError):
    """Not a platform; one line that says what is allowed."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on; `variant` and `os_version` are empty where nothing is said."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `linux/arm64`, `linux/arm/v7`, or an architecture alone; raise PlatformInvalid."""
        parts = text.split("/")
        if len(parts) == 1:
            parts = ["linux", *parts]
        if len(parts) > 3 or not all(map(_PART.fullmatch, parts)):  # noqa: PLR2004
            raise PlatformInvalid(
                "%(text)s is no platform: expected os/architecture or"
                " os/architecture/variant, as linux/amd64 or linux/arm/v7",
                text=ascii(text)[:100],
            )
        system, architecture, *rest = (part.lower() for part in parts)
        return cls._normal(system, architecture, rest[0] if rest else "")

    @classmethod
    def of(cls, fields: Mapping[str, object]) -> Self:
        """From a descriptor's `platform` or an image's config; what is no text counts as absent."""

        def text(key: str) -> str:
            value = fields.get(key)
            return value if isinstance(value, str) else ""

        found = cls._normal(text("os").lower(), text("architecture").lower(), text("variant"))
        return cls(found.os, found.architecture, found.variant, text("os.version"))

    @classmethod
    def _normal(cls, system: str, architecture: str, variant: str) -> Self:
        architecture, implied = _ARCHITECTURES.get(architecture, (architecture, ""))
        variant = variant or implied
        if architecture != "arm" and variant == _PLAIN.get(architecture):
            variant = ""
        return cls("darwin" if system == "macos" else system, architecture, variant)

    @classmethod
    def local(cls) -> Self:
        """What containers on this machine run on."""
        return cls._normal("linux", os.uname().machine.lower(), "")

    def __str__(self) -> str:
        """`os/architecture[/variant]`."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def fields(self) -> dict[str, str]:
        """As a descriptor has it."""
        known = {
            "architecture": self.architecture,
            "os": self.os,
            "variant": self.variant,
            "os.version": self.os_version,
        }
        return {key: value for key, value in known.items() if value}

    def rank(self, offered: "Platform") -> int | None:
        """How well an offered image runs here: 0 is the same, more is older; None not at all."""
        if (offered.os, offered.architecture) != (self.os, self.architecture):
            return None
        if self.os_version and offered.os_version and self.os_version != offered.os_version:
            return None
        wanted, found = self._generation(self), self._generation(offered)
        if wanted is None or found is None:
            return 0 if self.variant == offered.variant else None
        return wanted - found if found <= wanted else None

    @staticmethod
    def _generation(platform: "Platform") -> int | None:
        """Later generations run what was built for earlier ones."""
        variant = platform.variant or _PLAIN.get(platform.architecture, "")
        match = _NUMBERED.fullmatch(variant)
        return None if match is None else int(match[1]) * 100 + int(match[2] or 0)


def best(wanted: Platform, offered: Iterable[Platform]) -> int | None:
    """The position of what runs best; of equals, the first. None where nothing runs."""
    ranked = list(_ranked(wanted, offered))
    return min(ranked)[1] if ranked else None


def _ranked(wanted: Platform, offered: Iterable[Platform]) -> Iterator[tuple[int, int]]:
    for position, platform in enumerate(offered):
        rank = wanted.rank(platform)
        if rank is not None:
            yield rank, position
