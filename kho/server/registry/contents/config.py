"""The config of an image: read within bounds, shown as far as it can be read."""

from collections.abc import Mapping
from itertools import islice
from typing import Final, Literal, NamedTuple

import msgspec

from kho.oci.digest import Digest
from kho.oci.errors import BlobUnknown, Unavailable
from kho.oci.platform import Platform
from kho.oci.strict_json import JsonRefused, parse_object
from kho.server.registry import blobs
from kho.server.registry.aside import aside
from kho.server.registry.contents.bounds import (
    ENTRIES,
    MARGIN,
    NAME,
    VALUE,
    cut,
)
from kho.server.registry.contents.secrecy import MASK, Why, masked, why
from kho.server.resources import Resources

LONGEST: Final = 1024 * 1024
CREATED: Final = 64
_SECRETS: Final = 100
_VARIABLES: Final = 2000  # of so many is looked whether they are secrets

# A field of the config, and a name in it, or "".
Setting = tuple[str, str]
PAIRED: Final = frozenset({"env", "labels"})
LISTED: Final = frozenset({"ports", "volumes"})

# What came of reading it. `none`: the artifact has an empty one.
State = Literal["read", "missing", "damaged", "too large", "unreadable", "none"]


class Variable(msgspec.Struct, frozen=True):
    """A variable of the environment; `secret` says by what it looks secret, "" is not at all.

    `left_out` counts the characters of name and value that are not told here.
    """

    name: str
    value: str
    secret: Why
    masked: bool
    left_out: int


class Label(msgspec.Struct, frozen=True):
    """A label or annotation; `left_out` counts the characters that are not told here."""

    name: str
    value: str
    secret: Why
    masked: bool
    left_out: int


class Config(msgspec.Struct, frozen=True):
    """What an image says of how it runs; empty where it says nothing. `created` is its text.

    `left_out` counts, by the name of the field, the characters of texts and commands and the
    entries of lists that are not told here.
    """

    platform: str
    created: str
    author: str
    env: tuple[Variable, ...]
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]
    shell: tuple[str, ...]
    healthcheck: tuple[str, ...]
    onbuild: tuple[str, ...]
    user: str
    working_dir: str
    stop_signal: str
    ports: tuple[str, ...]
    volumes: tuple[str, ...]
    labels: tuple[Label, ...]
    left_out: dict[str, int]


class Read(NamedTuple):
    """A config blob: what came of reading it, and its fields."""

    state: State
    fields: Mapping[str, object]
    text: str


async def read(resources: Resources, repository: str, digest: Digest) -> Read:
    """Read the blob; what is wrong with it is told, never raised."""
    try:
        content = await content_of(resources, repository, digest, LONGEST)
    except BlobUnknown:
        return Read("missing", {}, "")
    except Unavailable:
        return Read("damaged", {}, "")
    if content is None:
        return Read("too large", {}, "")
    return await aside(resources, len(content), _read, content)


def _read(content: bytes) -> Read:
    try:
        return Read("read", parse_object(content), content.decode())
    except (JsonRefused, ValueError):
        return Read("unreadable", {}, "")


async def content_of(
    resources: Resources, repository: str, digest: Digest, most: int
) -> bytes | None:
    """A small blob, None for a longer one; raise BlobUnknown, or Unavailable when damaged."""
    reader = await blobs.read(resources, repository, digest)
    try:
        if reader.size > most:
            return None
        return b"".join([piece async for piece in reader.chunks(0, reader.size)])
    finally:
        reader.close()


def shown(fields: Mapping[str, object], *, reveal: bool) -> Config:
    """The config for people; values of the wrong type count as absent."""
    run = _mapping(fields.get("config"))
    part = _Part(None if reveal else secret_values(fields))
    platform = Platform.of(fields)
    return Config(
        platform=part.text(
            "platform", str(platform) if platform.os or platform.architecture else ""
        ),
        created=part.text("created", fields.get("created"), CREATED),
        author=part.text("author", fields.get("author")),
        env=part.env(run),
        entrypoint=part.words("entrypoint", run.get("Entrypoint")),
        cmd=part.words("cmd", run.get("Cmd")),
        shell=part.words("shell", run.get("Shell")),
        healthcheck=part.words("healthcheck", _mapping(run.get("Healthcheck")).get("Test")),
        onbuild=part.words("onbuild", run.get("OnBuild")),
        user=part.text("user", run.get("User")),
        working_dir=part.text("working_dir", run.get("WorkingDir")),
        stop_signal=part.text("stop_signal", run.get("StopSignal")),
        ports=tuple(sorted(part.names("ports", run.get("ExposedPorts")), key=_port)),
        volumes=tuple(sorted(part.names("volumes", run.get("Volumes")))),
        labels=part.labels(_mapping(run.get("Labels"))),
        left_out=part.left_out,
    )


class _Part:
    """Takes of each field what is shown, and counts the rest; `secrets` None masks nothing."""

    def __init__(self, secrets: list[str] | None) -> None:
        self.secrets = secrets
        self.left_out: dict[str, int] = {}

    def _count(self, field: str, count: int) -> None:
        if count:
            self.left_out[field] = count

    def text(self, field: str, value: object, most: int = NAME) -> str:
        """One text."""
        told, left = cut(_text(value), most)
        self._count(field, left)
        return told

    def words(self, field: str, value: object) -> tuple[str, ...]:
        """The words of a command, VALUE characters of all."""
        words = _texts(value)
        told: list[str] = []
        room = VALUE
        for word in words[:ENTRIES]:
            most = min(room, len(word))
            if word and not most:
                break
            seen = word[: most + MARGIN]
            told.append((seen if self.secrets is None else masked(seen, self.secrets))[:most])
            room -= most
        self._count(field, sum(map(len, words)) - (VALUE - room))
        return tuple(told)

    def names(self, field: str, value: object) -> list[str]:
        """Names of a list, as far as they are shown."""
        names = _mapping(value)
        self._count(field, len(names) - ENTRIES if len(names) > ENTRIES else 0)
        return [name[:NAME] for name in islice(names, ENTRIES)]

    def env(self, run: Mapping[str, object]) -> tuple[Variable, ...]:
        """Variables in their order."""
        texts = _texts(run.get("Env"))
        self._count("env", max(0, len(texts) - ENTRIES))
        reveal = self.secrets is None
        return tuple(Variable(*flagged(*_pair(one), reveal=reveal)) for one in texts[:ENTRIES])

    def labels(self, pairs: Mapping[str, object]) -> tuple[Label, ...]:
        """Labels by name."""
        self._count("labels", max(0, len(pairs) - ENTRIES))
        return labels(pairs, self.secrets is None)


def labels(pairs: Mapping[str, object], reveal: bool) -> tuple[Label, ...]:
    """Labels or annotations, ENTRIES of them, sorted by name."""
    return tuple(
        Label(*flagged(name, value, reveal=reveal))
        for name, value in sorted(islice(pairs.items(), ENTRIES))
        if isinstance(value, str)
    )


def settings(fields: Mapping[str, object]) -> dict[Setting, str]:
    """All that it says, whole and unmasked, for comparing: field and name to value."""
    run = _mapping(fields.get("config"))
    platform = Platform.of(fields)
    texts = {
        "platform": str(platform) if platform.os or platform.architecture else "",
        "created": fields.get("created"),
        "author": fields.get("author"),
        "user": run.get("User"),
        "working_dir": run.get("WorkingDir"),
        "stop_signal": run.get("StopSignal"),
    }
    words = {
        "entrypoint": run.get("Entrypoint"),
        "cmd": run.get("Cmd"),
        "shell": run.get("Shell"),
        "healthcheck": _mapping(run.get("Healthcheck")).get("Test"),
        "onbuild": run.get("OnBuild"),
    }
    found: dict[Setting, str] = {(field, ""): _text(value) for field, value in texts.items()}
    found |= {(field, ""): "\0".join(_texts(value)) for field, value in words.items()}
    found = {key: value for key, value in found.items() if value}
    found |= {("env", name): value for name, value in map(_pair, _texts(run.get("Env")))}
    labels = _mapping(run.get("Labels"))
    found |= {("labels", name): text for name, text in labels.items() if isinstance(text, str)}
    for field, key in (("ports", "ExposedPorts"), ("volumes", "Volumes")):
        found |= {(field, name): name for name in _mapping(run.get(key))}
    return found


def secret_values(fields: Mapping[str, object]) -> list[str]:
    """Values of the environment that look secret: commands may repeat them."""
    texts = _texts(_mapping(fields.get("config")).get("Env"))
    pairs = (_pair(text[: NAME + MARGIN]) for text in texts[:_VARIABLES])
    return [value for name, value in pairs if why(name, value)][:_SECRETS]


def flagged(name: str, value: str, *, reveal: bool) -> tuple[str, str, Why, bool, int]:
    """A setting as it is shown: name, value, why it looks secret, masked, characters left out."""
    looked = value[: VALUE + MARGIN]
    reason = why(name[: NAME + MARGIN], looked)
    hidden = bool(reason) and not reveal
    told, left = cut(value, VALUE)
    named, more = cut(name, NAME)
    return (
        (named, MASK, reason, True, more) if hidden else (named, told, reason, False, left + more)
    )


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _port(text: str) -> tuple[int, str]:
    number = text.partition("/")[0]
    return (int(number) if number.isascii() and number.isdigit() else 0), text


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    """A list of strings; old images have one string for a shell."""
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
