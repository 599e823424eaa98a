"""Forms of browsers and of POST /token, in pieces as they come."""

import asyncio
from urllib.parse import urlencode

from kho.oci.errors import Denied, InvalidRequest, RegistryError
from kho.server.config import Config
from kho.server.web.request import Message, Request
from kho.server.web.token import _form
from kho.server.web.visits import plain_form
from tests.fuzz import texts

CONFIG = Config()
FORM = b"application/x-www-form-urlencoded"
# Encoded it is up to nine times as long, and forms have a limit.
LONGEST = 1024


def check(data: bytes) -> None:
    asyncio.run(check_all(data))


async def check_all(data: bytes) -> None:
    kind, body = texts.split(data, 2)
    for content_type in (kind, FORM):
        for read in (_form, plain_form):
            try:
                await read(request(content_type, body))
            except (Denied, InvalidRequest) as error:
                assert error.body().isascii()
            except RegistryError as error:
                assert error.status in {400, 413}, error
    await check_round_trip(body[:LONGEST])


async def check_round_trip(body: bytes) -> None:
    pairs = [(f"k{number}", texts.unicode(one)) for number, one in enumerate(body.split(b"\n")[:8])]
    sent = urlencode(pairs).encode()
    assert await plain_form(request(FORM, sent)) == dict(pairs)
    found = await _form(request(FORM, sent))
    assert found == {key: [value] for key, value in pairs}


def request(content_type: bytes, body: bytes) -> Request:
    pieces = [body[:7], body[7:]]

    async def receive() -> Message:
        chunk = pieces.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(pieces)}

    headers = [(b"content-type", content_type), (b"transfer-encoding", b"chunked")]
    scope = {"headers": headers, "query_string": b"", "method": "POST", "path": "/token"}
    return Request(scope, receive, CONFIG)
