"""Words that users of docker, skopeo, crane, oras and others type by habit, and what kho has."""

from typing import Final

_CONTAINERS: Final = (
    "kho runs no containers: `kho unpack IMAGE DIR --bundle`, then `runc run --bundle DIR NAME`"
)
_BUILD: Final = (
    "kho runs nothing: for a Dockerfile there is `buildah build`; `kho pack DIR REF` makes an image"
    " of a folder"
)

INSTEAD: Final = {
    "auth": "type `kho login HOST`, `kho logout HOST` or `kho whoami`",
    "build": _BUILD,
    "buildx": _BUILD,
    "catalog": "type `kho ls HOST`",
    "commit": "type `kho append BASE REF --dir DIR`",
    "config": "type `kho inspect --config REF`, or `kho mutate REF` to change it",
    "container": _CONTAINERS,
    "cp": "type `kho copy SRC DST` for an image, `kho cat REF:/PATH` for a file of one",
    "create": _CONTAINERS,
    "discover": "type `kho referrers REF`",
    "exec": _CONTAINERS,
    "export": "type `kho unpack REF DIR` for files, `kho save REF -o FILE` for the image",
    "help": "type `kho --help` or `kho COMMAND --help`",
    "image": "type it without `image`: kho images, pull, push, tag, inspect, history, save, load,"
    " rmi, prune",
    "import": "type `kho pack DIR REF` for a folder, `kho load -i FILE` for an archive of images",
    "index": "type `kho manifest REF`, or `kho copy SRC DST`, which takes all platforms along",
    "info": "type `kho images` for the local store, `kho doctor HOST` for a registry",
    "list": "type `kho images`, `kho ls HOST` or `kho tags REPOSITORY`",
    "list-tags": "type `kho tags REPOSITORY`",
    "logs": _CONTAINERS,
    "ps": _CONTAINERS,
    "remove": "type `kho rmi IMAGE` for the local store, `kho delete REF` for a registry",
    "repo": "type `kho ls HOST` or `kho tags REPOSITORY`",
    "rm": "type `kho rmi IMAGE` for the local store, `kho delete REF` for a registry",
    "run": _CONTAINERS,
    "start": _CONTAINERS,
    "stop": _CONTAINERS,
    "system": "type `kho prune`",
    "version": "type `kho --version`",
}
