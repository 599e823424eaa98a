"""What to type to get something: for each program, by tag and by digest.

A registry without TLS needs a word of consent. What takes it as an option gets it in the line; the
daemons of docker and containerd are told by a file, which `note` says. On the loopback docker, kho
and buildah's family need none or the same.
"""

import ipaddress
from collections.abc import Callable
from typing import Final, Literal

import msgspec

Tool = Literal[
    "docker",
    "podman",
    "nerdctl",
    "crictl",
    "skopeo",
    "kho",
    "oras",
    "helm",
    "dockerfile",
    "kubernetes",
]
# What has to be set up first; the page knows the words.
Note = Literal["", "docker-insecure-registries", "containerd-hosts"]

_HELM_CONFIG: Final = "application/vnd.cncf.helm.config.v1+json"
_IMAGES: Final[tuple[Tool, ...]] = (
    *("docker", "podman", "nerdctl", "crictl", "skopeo", "kho"),
    *("dockerfile", "kubernetes"),
)
_ARTIFACTS: Final[tuple[Tool, ...]] = ("oras", "kho", "skopeo")


class Address(msgspec.Struct, frozen=True):
    """Where the registry is for its callers: host and port as they write it, and whether by TLS."""

    host: str
    tls: bool

    @property
    def loopback(self) -> bool:
        """Whether programs take it for this machine."""
        name = self.host.rpartition(":")[0] if self.host.rpartition(":")[2].isdigit() else self.host
        if name == "localhost":
            return True
        try:
            return ipaddress.ip_address(name.strip("[]")).is_loopback
        except ValueError:
            return False


class Command(msgspec.Struct, frozen=True):
    """One program's line, or lines of a file; None where there is no tag, or no digest."""

    tool: Tool
    by_tag: str | None
    by_digest: str | None
    note: Note = ""


def commands(
    address: Address,
    repository: str,
    tag: str | None,
    digest: str | None,
    *,
    kind: str = "image",
    artifact_type: str | None = None,
) -> tuple[Command, ...]:
    """The commands that get an image, an index, a chart or another artifact."""
    tools: tuple[Tool, ...] = _IMAGES
    if artifact_type == _HELM_CONFIG:
        tools = ("helm", *_ARTIFACTS)
    elif kind == "artifact":
        tools = _ARTIFACTS
    name = f"{address.host}/{repository}"
    by_tag = None if tag is None else f"{name}:{tag}"
    by_digest = None if digest is None else f"{name}@{digest}"
    return tuple(
        Command(
            tool,
            None if by_tag is None else _line(tool, address, by_tag),
            None if by_digest is None else _line(tool, address, by_digest),
            _note(tool, address),
        )
        for tool in tools
    )


def _line(tool: Tool, address: Address, reference: str) -> str:
    return _LINES[tool](reference, not address.tls)


def _helm(reference: str, plain: bool) -> str:
    """Charts are named by version, in which tags write `+` as `_`."""
    option = " --plain-http" if plain else ""
    name, at, digest = reference.partition("@")
    if at:
        return f"helm pull oci://{name}@{digest}{option}"
    name, _, tag = reference.rpartition(":")
    return f"helm pull oci://{name} --version {tag.replace('_', '+')}{option}"


def _kubernetes(reference: str, plain: bool) -> str:
    del plain
    name = reference.partition("@")[0]
    short = name.rpartition("/")[2].partition(":")[0]
    word = "".join(c if c.isalnum() else "-" for c in short)[:63].strip("-")
    return f"containers:\n  - name: {word}\n    image: {reference}\n"


def _program(words: str, option: str) -> Callable[[str, bool], str]:
    return lambda reference, plain: f"{words}{option if plain else ''} {reference}"


_LINES: Final[dict[Tool, Callable[[str, bool], str]]] = {
    "docker": _program("docker pull", ""),
    "podman": _program("podman pull", " --tls-verify=false"),
    "nerdctl": _program("nerdctl pull", " --insecure-registry"),
    "crictl": _program("crictl pull", ""),
    "skopeo": lambda reference, plain: (
        f"skopeo copy{' --src-tls-verify=false' if plain else ''}"
        f" docker://{reference} oci:{_short(reference)}"
    ),
    "kho": _program("kho pull", " --plain-http"),
    "oras": _program("oras pull", " --plain-http"),
    "helm": _helm,
    "dockerfile": lambda reference, _: f"FROM {reference}",
    "kubernetes": _kubernetes,
}


def _short(reference: str) -> str:
    """The last component, as a folder and its tag."""
    name, at, _ = reference.partition("@")
    last = name.rpartition("/")[2]
    return last if at or ":" in last else f"{last}:latest"


def _note(tool: Tool, address: Address) -> Note:
    if address.tls:
        return ""
    if tool in ("docker", "dockerfile"):
        return "" if address.loopback else "docker-insecure-registries"
    return "containerd-hosts" if tool in ("crictl", "kubernetes") else ""
