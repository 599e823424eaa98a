"""A registry whose people come from an OpenID Connect provider."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.registry import Registry
from tests.provider import CLIENT, SECRET, Provider


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """A provider that does as it should, until a test says otherwise."""
    async with Provider(email="alice@example.com", groups=["dev", "/team/web"]) as provider:
        yield provider


@pytest.fixture
async def signed(
    tmp_path: Path, database_url: str, provider: Provider, settings: dict[str, Any]
) -> AsyncIterator[Registry]:
    """A registry whose people come from the provider."""
    folder = tmp_path / "data"
    folder.mkdir()
    flags = {
        "oidc.issuer": provider.url,
        "oidc.client_id": CLIENT,
        "oidc.client_secret": SECRET,
        "oidc.admin_group": "admins",
        **settings,
    }
    registry = Registry(folder, database_url, flags)
    await registry.start()
    yield registry
    await registry.stop()
