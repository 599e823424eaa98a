"""A provider that others wrote, in a process of its own."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from kho.server.database.identities import groups
from tests.flows.browser import Browser
from tests.flows.people import resources_of
from tests.flows.registry import Registry

PEOPLE = (
    {"sub": "a-1", "preferred_username": "Alice", "email": "alice@example.com", "groups": ["dev"]},
    {"sub": "b-2", "preferred_username": "bob", "groups": []},
)


async def groups_of(registry: Registry, name: str) -> list[str]:
    """As the rows say."""
    return await resources_of(registry).database.read(groups.of_user, name)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def mock_provider() -> AsyncIterator[str]:
    """Its issuer."""
    port = free_port()
    people = [word for person in PEOPLE for word in ("--user-claims", json.dumps(person))]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-m", "oidc_provider_mock"),
        *("--port", str(port), "--host", "127.0.0.1", "--require-nonce", "true", *people),
        env={**os.environ, "AUTHLIB_INSECURE_TRANSPORT": "1"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


async def approve(http: aiohttp.ClientSession, url: str, subject: str) -> str:
    """Choose a person on the real provider's page; where the browser is sent back to."""
    async with http.get(url) as page:
        assert page.status == 200, await page.text()
    async with http.post(url, data={"sub": subject}, allow_redirects=False) as answer:
        assert answer.status == 302, await answer.text()
        return answer.headers["Location"]


async def test_the_whole_way_with_a_real_provider(tmp_path: Path, migrated_file: Path) -> None:
    database = tmp_path / "kho.db"
    shutil.copy(migrated_file, database)
    async with mock_provider() as issuer, aiohttp.ClientSession() as http:
        flags = {
            "oidc.issuer": issuer,
            "oidc.client_id": "kho",
            "oidc.client_secret": "any",
            "oidc.admin_group": "admins",
        }
        registry = Registry(tmp_path, f"sqlite:///{database}", flags)
        await registry.start()
        alice, bob = Browser(registry), Browser(registry)
        for browser, subject in ((alice, "a-1"), (bob, "b-2")):
            answer = await browser.get(await approve(http, await browser.to_provider(), subject))
            assert answer.status == 303, browser.text
        assert await alice.user() == {"name": "alice", "source": "oidc", "admin": False}
        assert await bob.user() == {"name": "bob", "source": "oidc", "admin": False}
        assert await groups_of(registry, "alice") == ["dev"]
        await http.put(f"{issuer}/users/a-1", json={**PEOPLE[0], "groups": ["ops", "admins"]})
        again = Browser(registry)
        await again.get(await approve(http, await again.to_provider(), "a-1"))
        assert await groups_of(registry, "alice") == ["admins", "ops"]
        resources_of(registry).memory.forget()
        assert (await again.user() or {})["admin"] is True
        third = Browser(registry)
        replayed = await approve(http, await third.to_provider(), "a-1")
        assert (await third.get(replayed)).status == 303
        assert (await third.get(replayed)).status == 401
        await registry.stop()
