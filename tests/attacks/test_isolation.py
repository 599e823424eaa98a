"""1A: what a repository does not hold does not exist for it (A1), nor do others' sessions (A3)."""

import pytest

from kho.oci.digest import Digest
from tests.flows.client import Answer, without_id
from tests.flows.databases import on_both_databases
from tests.flows.people import People, basic
from tests.flows.registry import Registry
from tests.oci.samples import descriptor, image, index

SECRET = b"secret layer" * 20_000
HIDDEN = Digest.of(SECRET)
NEVER = Digest.of(b"never existed")


def neutral(answer: Answer, digest: Digest) -> tuple[int, list[tuple[str, str]], bytes]:
    """All that a caller can see, its own digest taken out."""
    body = answer.body.replace(str(digest).encode(), b"D")
    return answer.status, without_id(answer), body


@pytest.fixture
async def manifest_digest(registry: Registry) -> Digest:
    """An image with a referrer in `private`; the caller's own repository is `mine`."""
    digest = await registry.push_image("private", "1", SECRET)
    content = (await registry.client.get("/v2/private/manifests/1")).body
    await registry.push_manifest("private", "2", index(subject=descriptor(content)))
    await registry.push_image("mine", "1")
    return digest


@on_both_databases
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("headers", [[], [("Range", "bytes=0-9")], [("If-None-Match", "*")]])
@pytest.mark.parametrize("noun", ["blobs", "manifests"])
async def test_A1_a_digest_of_another_repository_looks_like_none(
    registry: Registry,
    manifest_digest: Digest,
    method: str,
    headers: list[tuple[str, str]],
    noun: str,
) -> None:
    hidden = HIDDEN if noun == "blobs" else manifest_digest
    seen = [
        neutral(
            await registry.client.request(method, f"/v2/mine/{noun}/{digest}", headers=headers),
            digest,
        )
        for digest in (hidden, NEVER)
    ]
    assert seen[0] == seen[1]
    assert seen[0][0] == 404
    assert (await registry.client.head(f"/v2/private/{noun}/{hidden}")).status == 200


async def test_A1_a_manifest_cannot_reach_into_another_repository(
    registry: Registry, manifest_digest: Digest
) -> None:
    seen = []
    for digest, size in ((HIDDEN, len(SECRET)), (NEVER, len(SECRET))):
        layer = descriptor(b"", digest=str(digest), size=size)
        answer = await registry.put_manifest("mine", "2", image(layers=[layer]))
        seen.append(neutral(answer, digest))
    assert seen[0] == seen[1]
    assert seen[0][0] == 400
    child = descriptor(b"", digest=str(manifest_digest), size=1)
    answer = await registry.put_manifest("mine", "2", index(manifests=[child]))
    assert answer.codes == ["MANIFEST_BLOB_UNKNOWN"]


async def test_A1_referrers_of_another_repository_are_not_listed(
    registry: Registry, manifest_digest: Digest
) -> None:
    seen = [
        neutral(await registry.client.get(f"/v2/mine/referrers/{digest}"), digest)
        for digest in (manifest_digest, NEVER)
    ]
    assert seen[0] == seen[1]
    listed = await registry.client.get(f"/v2/private/referrers/{manifest_digest}")
    assert len(listed.json()["manifests"]) == 1


async def test_A1_tags_and_deletes_keep_to_their_repository(
    registry: Registry, manifest_digest: Digest
) -> None:
    client = registry.client
    assert (await client.get("/v2/mine/manifests/2")).status == 404
    assert (await client.delete(f"/v2/mine/manifests/{manifest_digest}")).status == 404
    assert (await client.delete(f"/v2/mine/blobs/{HIDDEN}")).status == 404
    for target in (f"/v2/private/manifests/{manifest_digest}", f"/v2/private/blobs/{HIDDEN}"):
        assert (await client.head(target)).status == 200
    # Repositories below and above are others, too.
    for name in ("private/x", "privat"):
        assert (await client.get(f"/v2/{name}/blobs/{HIDDEN}")).status == 404


@on_both_databases
async def test_A1_a_reader_of_one_repository_reads_no_other(
    registry: Registry, manifest_digest: Digest
) -> None:
    people = People(registry)
    secret = await people.user("reader")
    await people.grant("user:reader", "maintainer", "mine")
    scopes = ("repository:mine:pull,push,delete", "repository:private:pull,push,delete")
    for header in (basic("reader", secret), await people.bearer(secret, *scopes)):
        for method in ("GET", "HEAD", "DELETE"):
            for noun, hidden in (("blobs", HIDDEN), ("manifests", manifest_digest)):
                answers = [
                    await registry.client.request(
                        method, f"/v2/{name}/{noun}/{digest}", None, [header]
                    )
                    for name in ("mine", "private")
                    for digest in (hidden, NEVER)
                ]
                own, other = answers[:2], answers[2:]
                assert [one.status for one in own] == [404, 404]
                assert neutral(own[0], hidden) == neutral(own[1], NEVER)
                assert {one.status for one in other} <= {401, 403}
                assert neutral(other[0], hidden) == neutral(other[1], NEVER)
    root = basic("root", await people.user("root", admin=True))
    assert (await registry.client.get(f"/v2/private/blobs/{HIDDEN}", root)).status == 200


@on_both_databases
async def test_A3_a_session_of_somebody_else_is_unknown_on_every_verb(registry: Registry) -> None:
    people = People(registry)
    secrets = [await people.user(name) for name in ("alice", "bob")]
    for name in ("alice", "bob"):
        await people.grant(f"user:{name}", "writer", "shared/**")
    scope = "repository:shared/app:pull,push"
    alice, bob = basic("alice", secrets[0]), basic("bob", secrets[1])
    client = registry.client
    opened = await client.post("/v2/shared/app/blobs/uploads/", b"", alice)
    theirs = opened["Location"]
    for header in (bob, await people.bearer(secrets[1], scope)):
        for method in ("GET", "PATCH", "PUT", "DELETE"):
            target = f"{theirs}?digest={HIDDEN}"
            answer = await client.request(method, target, SECRET, [header])
            assert answer.status == 404
    # The owner goes on, with whatever proves who they are.
    again = await people.bearer(secrets[0], scope)
    assert (await client.patch(theirs, SECRET, again)).status == 202
    assert (await client.put(f"{theirs}?digest={HIDDEN}", b"", alice)).status == 201


@on_both_databases
async def test_A3_a_session_of_another_repository_is_unknown_on_every_verb(
    registry: Registry,
) -> None:
    client = registry.client
    theirs = await registry.open_upload("theirs")
    await client.patch(theirs, SECRET)
    await registry.open_upload("mine")
    upload = theirs.rpartition("/")[2]
    unknown = "00000000-0000-4000-8000-000000000000"
    for method, query in (
        ("GET", ""),
        ("PATCH", ""),
        ("PUT", f"?digest={HIDDEN}"),
        ("DELETE", ""),
    ):
        answers = [
            await client.request(method, f"/v2/mine/blobs/uploads/{one}{query}", b"")
            for one in (upload, unknown)
        ]
        assert [answer.status for answer in answers] == [404, 404]
        assert answers[0].body.replace(upload.encode(), b"") == answers[1].body.replace(
            unknown.encode(), b""
        )
    assert (await client.get(theirs))["Range"] == f"0-{len(SECRET) - 1}"


@pytest.mark.parametrize(
    "form",
    [
        "{%s}",
        "%%7B%s%%7D",
        "urn:uuid:%s",
        "%s%%0A",
        "%%20%s",
        "%s/",
        "./%s",
        "../uploads/%s",
        "%s%%00",
        "0x%s",
    ],
)
async def test_A3_only_the_canonical_form_of_an_id_is_known(registry: Registry, form: str) -> None:
    client, location = registry.client, await registry.open_upload("a")
    base, _, upload = location.rpartition("/")
    for text in (upload, upload.replace("-", "")):
        for method in ("GET", "PATCH", "PUT", "DELETE"):
            answer = await client.request(method, f"{base}/{form % text}", b"")
            assert answer.status == 404
    for text in (upload.upper(), upload.replace("-", ""), upload[:-1], upload + "0"):
        if text != upload:
            assert (await client.delete(f"{base}/{text}")).status == 404
    assert (await client.get(location)).status == 204
