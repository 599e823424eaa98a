"""THE TOOL TABLE: every client that can be measured, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# What a tool can be told to do; the words of a command know {registry} {layout} {tag} {target}.
START, PULL, PUSH, UNPACK = "start", "pull", "push", "unpack"


@dataclass(frozen=True, slots=True)
class Tool:
    """One client: its program, and how it is told to do what."""

    name: str
    program: str
    version: tuple[str, ...]
    commands: Mapping[str, tuple[str, ...]] = field(repr=False)


TOOLS: tuple[Tool, ...] = (
    Tool(
        "kho",
        "kho",
        ("--version",),
        {
            START: ("--version",),
            PULL: ("copy", "--quiet", "{registry}", "oci:{target}:1"),
            PUSH: ("copy", "--quiet", "oci:{layout}:{tag}", "{registry}"),
            UNPACK: ("unpack", "--quiet", "oci:{layout}:{tag}", "{target}"),
        },
    ),
    Tool(
        "skopeo",
        "skopeo",
        ("--version",),
        {
            START: ("--version",),
            PULL: (
                *("--insecure-policy", "copy", "--quiet", "--preserve-digests"),
                *("--src-tls-verify=false", "docker://{registry}", "oci:{target}:1"),
            ),
            PUSH: (
                *("--insecure-policy", "copy", "--quiet", "--preserve-digests"),
                *("--dest-tls-verify=false", "oci:{layout}:{tag}", "docker://{registry}"),
            ),
        },
    ),
    Tool(
        "crane",
        "crane",
        ("version",),
        {
            START: ("version",),
            PULL: ("pull", "--format=oci", "{registry}", "{target}"),
            PUSH: ("push", "{layout}", "{registry}"),
        },
    ),
    Tool(
        "umoci",
        "umoci",
        ("--version",),
        {
            START: ("--version",),
            # Without the list of all files that `umoci unpack` writes beside them.
            UNPACK: ("raw", "unpack", "--image", "{layout}:{tag}", "{target}"),
        },
    ),
)
