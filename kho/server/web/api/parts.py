"""Parts of the API's paths, as the OpenAPI document describes them."""

from typing import Final

from kho.server.web.paths import expression_of

_TEXTS: Final = {
    "name": "The repository, with its slashes: team/app.",
    "digest": "A digest: sha256:..., 64 digits.",
    "reference": "A tag or a digest.",
    "tag": "A tag.",
    "path": "A path inside the image, without a slash in front.",
    "user": "The name of a user.",
    "group": "The name of a group.",
    "role": "The name of a role.",
    "robot": "The name of a robot.",
    "rule": "The name of a trust rule.",
    "id": "The number that lists give.",
}
_IDS: Final = frozenset({"id"})
_MOST: Final = {"name": 255, "tag": 128, "reference": 160, "digest": 160, "path": 4096}


def described(part: str) -> dict[str, object]:
    """A parameter of a path (OpenAPI 3.1); KeyError for a part that has no description."""
    schema: dict[str, object] = {
        "type": "string",
        "minLength": 1,
        "maxLength": _MOST.get(part, 128),
    }
    if part in _IDS:
        schema = {"type": "integer", "minimum": 1, "maximum": 2**53 - 1}
    elif part != "path" and expression_of(part):
        schema["pattern"] = f"^{expression_of(part)}$"
    return {
        "name": part,
        "in": "path",
        "required": True,
        "description": _TEXTS[part],
        "schema": schema,
    }
