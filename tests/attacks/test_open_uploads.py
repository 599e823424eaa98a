"""C8: nobody fills the table of sessions, and nobody is hindered by who tries."""

import pytest

from tests.flows.databases import on_both_databases
from tests.flows.people import People, basic
from tests.flows.registry import Registry

UPLOADS = "/v2/a/blobs/uploads/"


@on_both_databases
@pytest.mark.settings(limits__open_uploads=30)
async def test_C8_open_sessions_are_limited_by_account(registry: Registry) -> None:
    people = People(registry)
    who = {}
    for name in ("ann", "bob"):
        who[name] = basic(name, await people.user(name))
        await people.grant(f"user:{name}", "writer", "**")
    ann = [who["ann"]]
    opened = [await registry.client.request("POST", UPLOADS, headers=ann) for _ in range(35)]
    assert [one.status for one in opened] == [202] * 30 + [429] * 5
    assert opened[-1].codes == ["TOOMANYREQUESTS"]
    assert opened[-1]["Retry-After"] == "60"
    answer = await registry.client.request("POST", UPLOADS, headers=[who["bob"]])
    assert answer.status == 202
    for one in opened[:2]:
        gone = await registry.client.request("DELETE", one["Location"], headers=ann)
        assert gone.status == 204
    again = [await registry.client.request("POST", UPLOADS, headers=ann) for _ in range(3)]
    assert [one.status for one in again] == [202, 202, 429]
