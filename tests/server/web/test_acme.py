"""Challenges of ACME: what is in the folder and nothing else; plain HTTP redirects."""

import os
from pathlib import Path

import pytest

from kho.server.config import Config, load
from kho.server.threads import FileThreads
from kho.server.web.acme import LARGEST, PREFIX, Redirector, challenge
from kho.server.web.request import Message, Response

TOKEN = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A webroot as certbot leaves it, and a file beside it."""
    (tmp_path / "secret").write_text("canary")
    inside = tmp_path / "webroot/.well-known/acme-challenge"
    inside.mkdir(parents=True)
    (inside / TOKEN).write_text(f"{TOKEN}.thumb")
    return tmp_path / "webroot"


def config(folder: Path | str, **more: object) -> Config:
    return load({"tls.acme_folder": str(folder), **more}, {})


async def shown(config: Config, path: str) -> Response | None:
    threads = FileThreads()
    found = await challenge(config, threads, path)
    threads.close()
    return found


async def body(folder: Path, token: str) -> bytes | None:
    answer = await shown(config(folder), PREFIX + token)
    return None if answer is None else answer.body


async def test_a_challenge_in_either_place(folder: Path) -> None:
    answer = await shown(config(folder), PREFIX + TOKEN)
    assert answer is not None
    assert (answer.status, answer.body) == (200, f"{TOKEN}.thumb".encode())
    assert (b"content-type", b"text/plain; charset=utf-8") in answer.headers
    (folder / "flat_token-1").write_text("flat")
    assert await body(folder, "flat_token-1") == b"flat"


@pytest.mark.parametrize(
    "token",
    [
        *("", ".", "..", "../secret", "../../../secret", "a/b", "a.b", "%2e%2e", "é", "a\n"),
        *("a" * 257, "link", "pipe", "folder", "large", "absent", "secret\0"),
    ],
)
async def test_everything_else_is_not_there(folder: Path, token: str) -> None:
    inside = folder / ".well-known/acme-challenge"
    (inside / "link").symlink_to(folder.parent / "secret")
    (folder / "link").symlink_to("../secret")
    os.mkfifo(inside / "pipe")
    (inside / "folder").mkdir()
    (inside / "large").write_bytes(bytes(LARGEST + 1))
    assert await body(folder, token) is None


async def test_the_folder_cannot_be_left_by_a_link_above(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / TOKEN).write_text("canary")
    webroot = tmp_path / "webroot"
    (webroot / ".well-known").mkdir(parents=True)
    (webroot / ".well-known/acme-challenge").symlink_to(outside)
    assert await body(webroot, TOKEN) is None


async def test_without_a_folder_there_is_none(folder: Path) -> None:
    assert await shown(load({}, {}), PREFIX + TOKEN) is None
    assert await body(folder / "absent", TOKEN) is None


async def asked(
    config: Config, method: str, target: str, host: str = "kho.example"
) -> tuple[int, dict[bytes, bytes], bytes]:
    path, _, query = target.partition("?")
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode()}
    headers = [(b"host", host.encode())]
    app = Redirector(config, 5001)
    await app({**scope, "headers": headers, "client": ("192.0.2.1", 1)}, receive, send)
    app.threads.close()
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@pytest.mark.parametrize(
    "target, host, location",
    [
        ("/", "kho.example", "https://kho.example:5001/"),
        ("/v2/a/b?n=1&x=%20", "kho.example:80", "https://kho.example:5001/v2/a/b?n=1&x=%20"),
        ("/a b\r\nx: y", "[2001:db8::1]:80", "https://[2001:db8::1]:5001/a%20b%0D%0Ax:%20y"),
        ("//evil.example/x", "kho.example", "https://kho.example:5001//evil.example/x"),
        ("/é", "a@b", "https://127.0.0.1:5001/%C3%A9"),
        (f"{PREFIX}x/../y", "kho.example", None),
    ],
)
async def test_redirects(folder: Path, target: str, host: str, location: str | None) -> None:
    given = config(folder, listen="127.0.0.1:5001")
    status, headers, _ = await asked(given, "GET", target, host)
    if location is None:
        assert status == 404
    else:
        assert (status, headers[b"location"].decode()) == (307, location)


async def test_the_public_url_is_where_it_leads(folder: Path) -> None:
    given = config(folder, **{"http.public_url": "https://kho.example"})
    assert (await asked(given, "HEAD", "/v2/", "other"))[1][b"location"] == (
        b"https://kho.example/v2/"
    )


async def test_plain_http_takes_nothing(folder: Path) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        status, headers, _ = await asked(config(folder), method, "/v2/a/blobs/uploads/")
        assert status == 403
        assert b"location" not in headers
    status, _, text = await asked(config(folder), "GET", PREFIX + TOKEN)
    assert (status, text) == (200, f"{TOKEN}.thumb".encode())
    assert (await asked(config(folder), "HEAD", PREFIX + TOKEN))[2] == b""
