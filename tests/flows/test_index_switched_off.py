"""`index.enabled = false` leaves a plain registry: no page, no search, no API."""

import json
import re
from html import unescape

import pytest

from kho.oci.digest import Digest
from kho.server.database.identities import counts
from kho.server.jobs.schedule import JOBS
from kho.server.registry import filling
from kho.server.web.routes import ROUTES, TABLE, match
from tests.flows.people import resources_of
from tests.flows.registry import Registry
from tests.house.test_routes import PARTS
from tests.oci.samples import encode, image

pytestmark = pytest.mark.settings(index__enabled=False)
OFF = [one for one in ROUTES if one.index]
LAYER = b"a layer" * 100


async def test_nothing_of_the_index_is_there(registry: Registry) -> None:
    assert len(OFF) > 150
    for template in {one.template for one in OFF}:
        assert all(one.index for one in TABLE[template].values()), template
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
            answer = await registry.client.request(method, template.format(**PARTS))
            assert answer.status == 404, (method, template, answer.status)


async def test_the_protocol_is(registry: Registry) -> None:
    client = registry.client
    assert (await client.request("GET", "/v2/")).status == 200
    catalog = await client.request("GET", "/v2/_catalog")
    assert json.loads(catalog.body) == {"repositories": []}
    digest = await registry.push_image("a/b", "1.0", LAYER)
    subject = {"mediaType": image()["mediaType"], "digest": str(digest), "size": 1}
    await registry.push_image("a/b", "signed", subject=subject, artifactType="a/b")
    assert (await client.get("/v2/a/b/tags/list")).json()["tags"] == ["1.0", "signed"]
    assert (await client.get("/v2/a/b/manifests/1.0")).body == encode(image(b"{}", LAYER))
    assert (await client.get(f"/v2/a/b/blobs/{Digest.of(LAYER)}")).body == LAYER
    referrers = await client.get(f"/v2/a/b/referrers/{digest}")
    assert [one["artifactType"] for one in referrers.json()["manifests"]] == ["a/b"]
    assert (await client.delete("/v2/a/b/manifests/signed")).status == 202
    assert (await client.get("/v2/a/b/tags/list")).json()["tags"] == ["1.0"]
    for path in ("/healthz", "/readyz", "/token/jwks.json", "/auth/login", "/favicon.ico"):
        assert (await client.get(path)).status == 200, path


async def test_pages_for_signing_in_lead_to_nothing_of_it(registry: Registry) -> None:
    for page in ("/auth/login", "/setup?code=wrong", "/auth/oidc/callback?code=x"):
        text = (await registry.client.get(page)).body.decode()
        paths = re.findall(r'(?:href|action|data-hx-get)="(/[^"?#]*)', text)
        assert paths
        for path in map(unescape, paths):
            found = match(path)
            assert found is not None, path
            assert not any(one.index for one in TABLE[found[0]].values()), (page, path)


async def test_no_job_works_for_it_until_it_is_there_again(registry: Registry) -> None:
    await registry.push_image("a/b", "1.0", LAYER)
    assert (await registry.client.get("/v2/a/b/manifests/1.0")).status == 200
    resources = resources_of(registry)
    assert await filling.rebuild(resources, None, by="operator") == 1
    names = {"fill the index", "list layers", "check what is stored"}
    jobs = [one for one in JOBS if one.name in names]
    assert {one.name for one in jobs} == names
    for job in jobs:
        assert await job.run(resources) == 0
    assert (await resources.database.read(counts.indexing)).repositories_waiting == 1
    await registry.stop()
    again = Registry(registry.folder, registry.config.database_url, {"index.enabled": True})
    await again.start()
    try:
        assert await filling.fill(resources_of(again)) == 1
        listed = (await again.client.get("/api/v1/repositories")).json()["items"]
        assert [(one["name"], one["tags"], one["pulls"]) for one in listed] == [("a/b", 1, 0)]
        found = (await again.client.get("/api/v1/search?q=b")).json()["items"]
        assert [one["name"] for one in found] == ["a/b"]
    finally:
        await again.stop()
