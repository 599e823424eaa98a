"""What a shell is told while somebody types: names of local images, and files where places begin.

Each press of a key starts a program, so nothing is loaded here that is not needed.
"""

import json
import os
from pathlib import Path
from typing import Final

import click
from click.shell_completion import CompletionItem

_NAME: Final = "org.opencontainers.image.ref.name"
_PLACES: Final = ("oci:", "docker-archive:", "oci-archive:", "docker-daemon:", "local:")
_IMAGES: Final = frozenset(
    {"base", "destination", "first", "image", "images", "reference", "references", "second"}
    | {"source", "sources", "target"}
)
# bash takes a word apart at colons, which references have: the words are found anew, and what
# stands before the last colon is not repeated. The rest is what click says to fish.
BASH: Final = r"""_kho_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" response item kind value prefix
    local word="${line##*[[:space:]]}"
    prefix=""
    [[ "$word" == *:* && "$COMP_WORDBREAKS" == *:* ]] && prefix="${word%"${word##*:}"}"
    response=$(COMP_WORDS="$line" COMP_CWORD="$word" _KHO_COMPLETE=fish_complete "$1" 2>/dev/null)
    COMPREPLY=()
    while IFS= read -r item; do
        item="${item%%$'\t'*}"
        kind="${item%%,*}" value="${item#*,}"
        case "$kind" in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                COMPREPLY+=("${value#"$prefix"}")
                [[ "$value" == *: ]] && compopt -o nospace
                ;;
        esac
    done <<< "$response"
    return 0
}
complete -o nosort -F _kho_completion kho
"""


class ImageName(click.ParamType[str]):
    """A reference or a place, of which those in the local store are known."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Nothing: it is read later."""
        del param, ctx
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        """Local images, and prefixes of places; files behind those that take one."""
        del ctx, param
        if incomplete.startswith(_PLACES[:3]):
            return [CompletionItem(incomplete, type="file")]
        known = [*local_names(), *_PLACES]
        return [CompletionItem(name) for name in known if name.startswith(incomplete)]


def prepare(command: click.Command) -> None:
    """Let a command's arguments be completed; for this run, which only completes."""
    for parameter in command.params:
        if isinstance(parameter, click.Argument) and parameter.name in _IMAGES:
            parameter.type = ImageName()


def local_names() -> list[str]:
    """What is in the local store, as people write it: without docker.io/library/."""
    try:
        entries = json.loads((_store() / "index.json").read_bytes())["manifests"]
        names = [entry.get("annotations", {}).get(_NAME) for entry in entries]
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        return []
    found = [name for name in names if isinstance(name, str) and name.isprintable()]
    return sorted({*found, *(_short(name) for name in found)})


def _short(name: str) -> str:
    return name.removeprefix("docker.io/library/").removeprefix("docker.io/")


def _store() -> Path:
    """As kho.client.local.store.user_store, which takes 0.2 s to load."""
    if os.environ.get("KHO_STORE"):
        return Path(os.environ["KHO_STORE"])
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local/share")
    return Path(data) / "kho/store"
