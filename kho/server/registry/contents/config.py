"""The config of an image: read within bounds, shown as far as it can be read."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

import msgspec

from kho.oci.digest import Digest
from kho.oci.errors import BlobUnknown, Unavailable
from kho.oci.platform import Platform
from kho.oci.strict_json import JsonRefused, parse_object
from kho.server.registry import blobs
from kho.server.registry.contents.secrecy import MASK, Why, masked, why
from kho.server.resources import Resources

LONGEST: Final = 1024 * 1024
WORDS: Final = 1000
_SECRETS: Final = 100

# What came of reading it. `none`: the artifact has an empty one.
State = Literal["read", "missing", "damaged", "too large", "unreadable", "none"]


class Variable(msgspec.Struct, frozen=True):
    """A variable of the environment; `secret` says by what it looks secret, "" is not at all."""

    name: str
    value: str
    secret: Why
    masked: bool


class Label(msgspec.Struct, frozen=True):
    """A label or annotation."""

    name: str
    value: str
    secret: Why
    masked: bool


class Config(msgspec.Struct, frozen=True):
    """What an image says of how it runs; empty where it says nothing. `created` is its text."""

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
    secrets = [] if reveal else secret_values(fields)

    def words(value: object) -> tuple[str, ...]:
        return tuple(one if reveal else masked(one, secrets) for one in _texts(value)[:WORDS])

    platform = Platform.of(fields)
    return Config(
        platform=str(platform) if platform.os or platform.architecture else "",
        created=_text(fields.get("created")),
        author=_text(fields.get("author")),
        env=tuple(Variable(*one) for one in _env(run, reveal=reveal)),
        entrypoint=words(run.get("Entrypoint")),
        cmd=words(run.get("Cmd")),
        shell=words(run.get("Shell")),
        healthcheck=words(_mapping(run.get("Healthcheck")).get("Test")),
        onbuild=words(run.get("OnBuild")),
        user=_text(run.get("User")),
        working_dir=_text(run.get("WorkingDir")),
        stop_signal=_text(run.get("StopSignal")),
        ports=tuple(sorted(_mapping(run.get("ExposedPorts")), key=_port)),
        volumes=tuple(sorted(_mapping(run.get("Volumes")))),
        labels=labels(_mapping(run.get("Labels")), reveal=reveal),
    )


def labels(pairs: Mapping[str, object], *, reveal: bool) -> tuple[Label, ...]:
    """Labels or annotations, sorted by name."""
    return tuple(
        Label(*_flagged(name, value, reveal=reveal))
        for name, value in sorted(pairs.items())
        if isinstance(value, str)
    )


def secret_values(fields: Mapping[str, object]) -> list[str]:
    """Values of the environment that look secret: commands may repeat them."""
    pairs = (_pair(text) for text in _texts(_mapping(fields.get("config")).get("Env")))
    return [value for name, value in pairs if why(name, value)][:_SECRETS]


def _env(run: Mapping[str, object], *, reveal: bool) -> list[tuple[str, str, Why, bool]]:
    return [_flagged(*_pair(text), reveal=reveal) for text in _texts(run.get("Env"))]


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _flagged(name: str, value: str, *, reveal: bool) -> tuple[str, str, Why, bool]:
    reason = why(name, value)
    hidden = bool(reason) and not reveal
    return name, MASK if hidden else value, reason, hidden


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
