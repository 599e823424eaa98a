"""Lists that come in pages, by the Link header; bounded, as a registry may never end one (V1)."""

from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urljoin, urlsplit

from kho.oci.ranges import parse_next
from kho.oci.scope import Scope
from kho.oci.strict_json import JsonRefused, parse_object
from kho.remote.errors import Garbled
from kho.remote.registry import Registry
from kho.remote.transport import Request, same_origin

PAGE_BYTES: Final = 32 * 1024 * 1024
PAGES: Final = 10_000


async def pages(
    registry: Registry,
    path: str,
    step: str,
    *scopes: Scope,
    headers: dict[str, str] | None = None,
    most: int = PAGES,
) -> AsyncIterator[dict[str, object]]:
    """Every page's JSON object; raise Garbled for more than `most`, or one seen before."""
    url = await registry.url(path)
    seen: set[str] = set()
    while True:
        if url in seen or len(seen) >= most:
            raise Garbled(f"{step}: the list does not end")
        seen.add(url)
        async with registry.send(Request("GET", url, step, headers or {}), *scopes) as answer:
            body = await answer.read(PAGE_BYTES)
            following = parse_next(answer.header("Link"))
        try:
            yield parse_object(body)
        except JsonRefused as error:
            raise Garbled(f"{step}: {error}") from error
        if following is None:
            return
        url = urljoin(url, following)
        if not same_origin(urlsplit(url), urlsplit(await registry.base())):
            raise Garbled(f"{step}: the next page is at another host")


def texts(page: dict[str, object], key: str, step: str) -> list[str]:
    """A list of strings in a page; null counts as empty."""
    value = page.get(key) or []
    if not isinstance(value, list):
        raise Garbled(f"{step}: {key} is no list")
    out: list[str] = []
    for item in value:
        if not isinstance(item, str):
            raise Garbled(f"{step}: {key} is no list of names")
        out.append(item)
    return out
