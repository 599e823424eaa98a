"""Challenges of ACME (RFC 8555, http-01) from a folder, and plain HTTP beside TLS.

certbot, lego and others write the files; khod only shows them.
"""

import os
import re
import stat
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from kho.oci.errors import RouteUnknown
from kho.server.config import Config
from kho.server.resources import Resources
from kho.server.threads import FileThreads
from kho.server.web.address import base_url
from kho.server.web.request import Receive, Request, Response, Scope, Send

PREFIX: Final = "/.well-known/acme-challenge/"
LARGEST: Final = 65536
HTTPS_PORT: Final = 443
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")
_PORT: Final = re.compile(r":[0-9]*$")


async def get(resources: Resources, request: Request) -> Response:
    """One challenge."""
    found = await challenge(resources.config, resources.memory.keep(FileThreads), request.path)
    if found is None:
        raise RouteUnknown("no such challenge")
    return found


async def challenge(config: Config, threads: FileThreads, path: str) -> Response | None:
    """The file that a path names, or nothing."""
    token = path.removeprefix(PREFIX)
    if not config.tls.acme_folder or not _TOKEN.fullmatch(token):
        return None
    body = await threads.run(_read, Path(config.tls.acme_folder), token)
    return None if body is None else _text(200, body)


def _read(folder: Path, token: str) -> bytes | None:
    """From the webroot's own folder of challenges, else from the folder itself."""
    for inside in (folder / PREFIX.strip("/"), folder):
        try:
            if not inside.resolve(strict=True).is_relative_to(folder.resolve(strict=True)):
                continue
            with open(inside / token, "rb", opener=_unfollowed) as file:
                found = os.fstat(file.fileno())
                if stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST:
                    return file.read(LARGEST)
        except OSError:
            continue
    return None


def _unfollowed(path: str, flags: int) -> int:
    """Open without following a link, or waiting for a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


class Redirector:
    """Plain HTTP: challenges, and a redirect to https for those who only look."""

    def __init__(self, config: Config, port: int) -> None:
        """`port` is where HTTPS is served."""
        self.config = config
        self.port = port
        self.threads = FileThreads()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
            self.threads.close()
            return
        answer = await self._answer(scope)
        head = scope["method"] == "HEAD"
        start = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        await send(start)
        await send({"type": "http.response.body", "body": b"" if head else answer.body})

    async def _answer(self, scope: Scope) -> Response:
        path: str = scope["path"]
        if scope["method"] not in {"GET", "HEAD"}:
            text = b"this address redirects to https; say it at once, to send something\n"
            return _text(403, text)
        if path.startswith(PREFIX):
            return await challenge(self.config, self.threads, path) or _text(
                404, b"no such challenge\n"
            )
        answer = _text(307, b"")
        answer.headers.append((b"location", self._https(scope).encode("ascii")))
        return answer

    def _https(self, scope: Scope) -> str:
        url = urlsplit(base_url(scope, self.config))
        host = url.netloc
        if not self.config.http.public_url:
            port = "" if self.port == HTTPS_PORT else f":{self.port}"
            host = _PORT.sub("", host) + port
        query = scope["query_string"].decode("latin-1")
        path = quote(scope["path"], safe="/:@!$&'()*+,;=~-._")
        return f"https://{host}{path}" + (f"?{quote(query, safe=_QUERY)}" if query else "")


_QUERY: Final = "%/?:@!$&'()*+,;=~-._"


def _text(status: int, body: bytes) -> Response:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"x-content-type-options", b"nosniff"),
    ]
    return Response(status, headers, body)
