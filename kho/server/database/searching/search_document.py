"""What a repository is found by: its text, bounded, and the words of it.

field         from                                          at most
NAME          the name                                      255 characters
DESCRIPTION   the description                               500
REST          the head of the page                          500
              labels and annotations of the newest images   40, of 200 each: the last part of a
                                                            key, and the value
              tags, the newest                              50
              platforms, types of artifacts                 20 each
COMPONENT     =last-component, whole
FACET         @linux/amd64, #image

So a document costs the same whether a repository has ten tags or a million.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import chain
from typing import Any, Final, NamedTuple, TypedDict

from kho.server.database.searching.words import clean, words

VERSION: Final = 1  # grows when other words are made of the same text
TAGS: Final = 50
IMAGES: Final = 5  # whose labels count: what the newest tags point at
README: Final = 500
_DESCRIPTION: Final = 500
_LABELS: Final = 40
_LABEL: Final = 200
_FEW: Final = 20
# Changes with each build, and nobody looks for it.
_NOISE: Final = ("created", "build-date", "base.digest")


class Field(IntEnum):
    """Where a word stands, the best first.

    What comes after REST is no text: it begins with a sign that no word has.
    """

    NAME = 0
    DESCRIPTION = 1
    REST = 2
    COMPONENT = 3
    FACET = 4


class Source(TypedDict):
    """The text of a repository, as the hits show it; `version` of what words are made of it."""

    version: int
    description: str
    readme: str
    labels: list[str]  # key=value
    tags: list[str]
    platforms: list[str]
    types: list[str]
    kinds: list[str]


class Image(NamedTuple):
    """What a tag points at; JSON where the rows have JSON, None where nothing is known."""

    artifact_type: str | None
    kind: str | None
    platforms: str | None
    labels: str | None


def source_of(
    description: str, readme: str | None, tags: Iterable[str], images: Sequence[Image]
) -> Source:
    """The text; in an order that does not change while what it says stays the same."""
    return {
        "version": VERSION,
        "description": clean(description, _DESCRIPTION),
        "readme": clean(readme or "", README),
        "labels": _labels(images),
        "tags": sorted(tags),
        "platforms": _few(one for image in images for one in _listed(image.platforms)),
        "types": _few(_type(image) for image in images),
        "kinds": _few(image.kind or "" for image in images),
    }


def packed(source: Source) -> str:
    """As it is stored."""
    return json.dumps(source, ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=256)
def words_of(name: str, stored: str) -> Mapping[str, int]:
    """Each word with its best field. Remembered: the next push asks for those of the one before."""
    source: Source = json.loads(stored)
    rest = (
        source["readme"],
        *source["labels"],
        *source["tags"],
        *source["platforms"],
        *source["types"],
    )
    # Plain numbers: to hash an enumeration takes Python. The best field is the last to be set.
    found = dict.fromkeys(chain.from_iterable(map(words, rest)), int(Field.REST))
    found |= dict.fromkeys(words(source["description"]), int(Field.DESCRIPTION))
    found |= dict.fromkeys(words(name), int(Field.NAME))
    found[component(name.rpartition("/")[2])] = int(Field.COMPONENT)
    for platform in source["platforms"]:
        found[platform_facet(platform)] = int(Field.FACET)
        found[platform_facet("/".join(platform.split("/")[:2]))] = int(Field.FACET)
    for kind in source["kinds"]:
        found[kind_facet(kind)] = int(Field.FACET)
    return found


def component(text: str) -> str:
    """The row of a last component."""
    return "=" + text


def platform_facet(platform: str) -> str:
    """The row of a platform, `os/architecture[/variant]`."""
    return "@" + platform.lower()[:100]


def kind_facet(kind: str) -> str:
    """The row of a kind: image, index, artifact."""
    return "#" + kind[:100]


def _labels(images: Sequence[Image]) -> list[str]:
    found = dict.fromkeys(label for image in images for label in _shown_labels(image.labels))
    return sorted(list(found)[:_LABELS])


@lru_cache(maxsize=512)
def _shown_labels(text: str | None) -> tuple[str, ...]:
    found = []
    for key, value in _mapped(text).items():
        last = key.rpartition("image.")[2] if "opencontainers" in key else _last(key)
        if last and isinstance(value, str) and last not in _NOISE:
            found.append(clean(f"{last}={value}", _LABEL))
    return tuple(found[:_LABELS])


def _last(key: str) -> str:
    return key.rpartition("/")[2].rpartition(".")[2]


def _type(image: Image) -> str:
    """Of an artifact; else `app` would find every image, by `application/...`."""
    if image.kind != "artifact" or image.artifact_type is None:
        return ""
    return image.artifact_type.removeprefix("application/").removeprefix("vnd.")


def _few(texts: Iterable[str]) -> list[str]:
    found = dict.fromkeys(clean(text, _LABEL) for text in texts if text)
    return sorted(list(found)[:_FEW])


def _mapped(text: str | None) -> dict[str, Any]:
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}


def _listed(text: str | None) -> list[str]:
    found = json.loads(text) if text else []
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
