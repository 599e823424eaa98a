"""How an image was built: the config's history beside its layers, told like a Dockerfile.

/bin/sh -c #(nop)  CMD ["bash"]            CMD ["bash"]               docker build, long ago
/bin/sh -c apt-get update                  RUN apt-get update
|1 A=b /bin/sh -c make                     RUN make                   A=b was an argument
RUN /bin/sh -c make # buildkit             RUN make                   BuildKit
COPY . /app # buildkit                     COPY . /app
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from kho.oci.manifest import Descriptor
from kho.server.registry.contents.secrecy import masked

MOST: Final = 500
LONGEST: Final = 16 * 1024

_SHELL: Final = r"(?:/bin/(?:ba|da|a)?sh -(?:c|exc|ec|euxc|o pipefail -c)|cmd /S /C)\s+"
_NOP: Final = re.compile(rf"(?:{_SHELL})?#\(nop\)\s*", re.ASCII)
_RUN: Final = re.compile(
    rf"(?:RUN\s+)?(?:\|(?P<count>[0-9]{{1,3}})\s(?P<settings>.*?)\s?)?{_SHELL}(?P<line>.*)",
    re.ASCII | re.DOTALL,
)
_BUILDKIT: Final = re.compile(r"\s*# buildkit\s*$")
_WORD: Final = re.compile(
    r"(?:ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|FROM|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|RUN|SHELL"
    r"|STOPSIGNAL|USER|VOLUME|WORKDIR)(?=\s|$)"
)


class Sharing(msgspec.Struct, frozen=True):
    """Who else has a layer, as far as the caller may see: other images, other repositories.

    `more`: at least that many. `names` are some of the repositories.
    """

    images: int
    repositories: int
    names: tuple[str, ...]
    more: bool


class Layer(msgspec.Struct, frozen=True):
    """A layer; `size` in bytes as it is stored, `share` is its part of all layers, 0 to 1."""

    digest: str
    media_type: str
    size: int
    share: float
    shared: Sharing | None


class Step(msgspec.Struct, frozen=True):
    """A line of the history and the layer that it made, if it made one.

    `command` is told like a line of a Dockerfile, `raw` as it stands there; both are "" where a
    layer has no history. `created` is the text of the config. `left_out` counts the characters that
    `raw` lacks, and so `command`.
    """

    command: str
    raw: str
    instruction: str
    created: str
    author: str
    comment: str
    layer: Layer | None
    left_out: int


class Line(NamedTuple):
    """An entry of the history."""

    raw: str
    created: str
    author: str
    comment: str
    empty: bool
    left_out: int


def lines(history: object) -> list[Line]:
    """The history of a config, whatever stands there."""
    entries = history if isinstance(history, list) else []
    return [_line(entry) for entry in entries[:MOST] if isinstance(entry, dict)]


def _line(entry: Mapping[str, object]) -> Line:
    def text(key: str, most: int) -> str:
        value = entry.get(key)
        return value[:most] if isinstance(value, str) else ""

    whole = entry.get("created_by")
    return Line(
        text("created_by", LONGEST),
        text("created", 64),
        text("author", 256),
        text("comment", 256),
        entry.get("empty_layer") is True,
        max(0, len(whole) - LONGEST) if isinstance(whole, str) else 0,
    )


def told(raw: str) -> str:
    """The command as a line of a Dockerfile."""
    text = _BUILDKIT.sub("", raw.strip())
    nop = _NOP.match(text)
    if nop:
        return text[nop.end() :].strip()
    run = _RUN.fullmatch(text)
    if run:
        return f"RUN {run['line'].strip()}"
    return text


def join(
    history: Sequence[Line],
    layers: Sequence[Descriptor],
    shared: Mapping[str, Sharing],
    secrets: Sequence[str] | None,
) -> list[Step]:
    """Each line with its layer; what one of the two has more of stands alone at the end.

    `secrets` are values to mask beside those that look like it; None shows all.
    """
    whole = sum(layer.size for layer in layers)

    def described(item: Descriptor) -> Layer:
        digest = str(item.digest)
        share = item.size / whole if whole else 0.0
        return Layer(digest, item.media_type, item.size, share, shared.get(digest))

    rest = iter(layers)
    return list(_joined(history, (described(item) for item in rest), secrets))


def _joined(
    history: Sequence[Line], layers: Iterator[Layer], secrets: Sequence[str] | None
) -> Iterator[Step]:
    for line in history:
        raw = line.raw if secrets is None else masked(line.raw, secrets)
        command = told(raw)
        word = _WORD.match(command)
        yield Step(
            command=command,
            raw=raw,
            instruction=word[0] if word else "",
            created=line.created,
            author=line.author,
            comment=line.comment,
            layer=None if line.empty else next(layers, None),
            left_out=line.left_out,
        )
    for layer in layers:
        yield Step("", "", "", "", "", "", layer, 0)
