"""Headers and bodies that the answers of the distribution API share."""

import json
from functools import lru_cache

from kho.oci.digest import Digest
from kho.server.web.request import Headers, Response


def json_answer(status: int, value: object, *more: tuple[str, str]) -> Response:
    """A JSON body; `more` are further headers."""
    body = json.dumps(value, separators=(",", ":")).encode("ascii")
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    headers += [(name.lower().encode("ascii"), text.encode("ascii")) for name, text in more]
    return Response(status, headers, body)


def empty_answer(status: int, *more: tuple[str, str]) -> Response:
    """No body; a 204 has no length either."""
    headers: Headers = [] if status == 204 else [(b"content-length", b"0")]  # noqa: PLR2004
    headers += [(name.lower().encode("ascii"), text.encode("ascii")) for name, text in more]
    return Response(status, headers)


@lru_cache(maxsize=4096)
def content_headers(
    media_type: str, length: int, digest: Digest | str
) -> tuple[tuple[bytes, bytes], ...]:
    """What every answer with content says of it."""
    name = str(digest).encode("ascii")
    return (
        (b"content-type", media_type.encode("ascii")),
        (b"content-length", b"%d" % length),
        (b"docker-content-digest", name),
        (b"etag", b'"' + name + b'"'),
    )


def etag_matches(header: str | None, digest: Digest | str) -> bool:
    """Whether If-None-Match names this content: a list, weak tags, `*`, quoted or bare."""
    if header is None:
        return False
    wanted = {"*", str(digest), f'"{digest}"'}
    return any(part.strip().removeprefix("W/") in wanted for part in header.split(","))


def not_modified(digest: Digest | str) -> Response:
    """304 with the validators."""
    name = str(digest)
    return Response(
        304,
        [(b"etag", f'"{name}"'.encode("ascii")), (b"docker-content-digest", name.encode("ascii"))],
    )
