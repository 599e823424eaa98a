"""A khod behind the fronts: each cloud has its own part of it, and nobody sees that.

client ── /v2/team/app/... ──► front (login) ── /v2/<part>/team/app/... ──► khod
"""

import json
import re
from urllib.parse import urlencode, urlsplit

import aiohttp
from aiohttp import web
from yarl import URL

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "authorization", "server"}
_BODIES = {"POST", "PUT", "PATCH"}
_LISTS = re.compile(r"/v2/(_catalog|.+/tags/list)$")


class Upstream:
    """Requests to khod at `address`; used on one event loop, closed by `close`."""

    def __init__(self, address: str, hides: frozenset[str] = frozenset()) -> None:
        self.address = address
        # Headers that khod sends and a cloud does not.
        self.hides = _HOP_BY_HOP | hides
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(auto_decompress=False)
        return self._session

    async def pass_on(
        self, request: web.Request, part: str, of: str | None = None
    ) -> web.StreamResponse:
        """Khod's answer, for another path where one is given, without the part's name."""
        path = (of or request.path).replace("/v2/", f"/v2/{part}/", 1)
        if request.path in {"/v2/", "/v2/_catalog"}:
            path = request.path
        query = {
            key: f"{part}/{value}" if key == "from" else value
            for key, value in request.query.items()
        }
        url = f"{self.address}{path}" + (f"?{urlencode(query)}" if query else "")
        kept = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        body = request.content if request.method in _BODIES else None
        asked = self._open().request(
            request.method,
            URL(url, encoded=True),
            headers=kept,
            data=body,
            allow_redirects=False,
            skip_auto_headers=("Content-Type", "User-Agent", "Accept-Encoding"),
        )
        async with asked as answer:
            return await self._returned(request, answer, part)

    async def _returned(
        self, request: web.Request, answer: aiohttp.ClientResponse, part: str
    ) -> web.StreamResponse:
        headers = {k: v for k, v in answer.headers.items() if k.lower() not in self.hides}
        for name in ("Location", "Link"):
            if name in headers:
                bare = headers[name].replace(self.address, "")
                headers[name] = bare.replace(f"/v2/{part}/", "/v2/", 1)
        if answer.status == 200 and _LISTS.search(request.path) and request.method == "GET":
            return _renamed(await answer.read(), headers, part)
        told = web.StreamResponse(status=answer.status, headers=headers)
        await told.prepare(request)
        if request.method != "HEAD":
            async for piece in answer.content.iter_any():
                await told.write(piece)
        await told.write_eof()
        return told


def _renamed(body: bytes, headers: dict[str, str], part: str) -> web.Response:
    """A list of tags or repositories, by the names that the client knows."""
    value = json.loads(body)
    if "name" in value:
        value["name"] = value["name"].removeprefix(f"{part}/")
    if "repositories" in value:
        own = (name for name in value["repositories"] if name.startswith(f"{part}/"))
        value["repositories"] = [name.removeprefix(f"{part}/") for name in own]
    kept = {k: v for k, v in headers.items() if k.lower() != "content-length"}
    return web.Response(body=json.dumps(value).encode(), headers=kept)


def name_of(path: str) -> str:
    """The repository that a path below /v2/ is about; empty for none."""
    found = re.match(r"/v2/(.+)/(?:blobs|manifests|tags|referrers)/", urlsplit(path).path)
    return found[1] if found else ""
