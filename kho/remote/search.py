"""Search of registries that have one: `GET /v1/search?q=`, as docker and podman ask.

Docker Hub has it at index.docker.io, Quay where its registry is; most have none.
"""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from kho.oci.reference import HUB
from kho.oci.scope import Scope
from kho.oci.strict_json import JsonRefused, parse_object
from kho.remote.errors import Garbled, LoginNeeded, NotFound, Refused
from kho.remote.registry import Registry
from kho.remote.transport import Request

_HUB_SEARCH: Final = "https://index.docker.io"
_BYTES: Final = 4 * 1024 * 1024
_MOST: Final = 100
_SCOPE: Final = Scope("registry", "catalog", frozenset({"search"}))
_NO_SEARCH: Final = frozenset({400, 401, 403, 404, 405, 406, 501})


@dataclass(frozen=True, slots=True)
class Hit:
    """A repository that was found, without its registry."""

    name: str
    description: str
    stars: int
    official: bool


async def search(registry: Registry, term: str, limit: int = 25) -> list[Hit] | None:
    """What the registry's own search finds; None where it has none, or not for this login."""
    step = f"search of {registry.name}"
    base = _HUB_SEARCH if registry.name == HUB else await registry.base()
    query = urlencode({"q": term, "n": min(limit, _MOST)})
    request = Request("GET", f"{base}/v1/search?{query}", step, {"Accept": "application/json"})
    try:
        async with registry.send(request, _SCOPE) as answer:
            body = await answer.read(_BYTES)
            kind = answer.header("Content-Type") or ""
    except (NotFound, LoginNeeded):
        return None
    except Refused as error:
        if error.status in _NO_SEARCH:
            return None
        raise
    if "json" not in kind:
        return None  # a page for people: whatever stands there is no search
    try:
        results = parse_object(body).get("results")
    except JsonRefused as error:
        raise Garbled(f"{step}: {error}") from error
    if not isinstance(results, list):
        raise Garbled(f"{step}: the answer has no results")
    return [_hit(one) for one in results[:limit] if isinstance(one, dict)]


def _hit(value: dict[str, Any]) -> Hit:
    name, words, stars = (value.get(key) for key in ("name", "description", "star_count"))
    return Hit(
        name if isinstance(name, str) else "",
        " ".join(words.split()) if isinstance(words, str) else "",
        stars if isinstance(stars, int) else 0,
        value.get("is_official") is True,
    )
