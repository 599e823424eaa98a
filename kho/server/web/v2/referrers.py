"""GET referrers (end-12)."""

import json
from typing import Final

from kho.oci.media_types import OCI_INDEX
from kho.oci.ranges import next_link, parse_count
from kho.server.registry import manifests
from kho.server.resources import Resources
from kho.server.web.request import Request, Response

# Each entry carries annotations of any length: a page is cut by bytes too.
PAGE: Final = 100
PAGE_BYTES: Final = 2 * 1024 * 1024


async def page(resources: Resources, request: Request) -> Response:
    """Always 200 with an index, empty for an unknown digest or repository."""
    digest = request.values.digest
    assert digest is not None
    types = [kind for kind in request.query_all("artifactType") if kind]
    limit = max(1, parse_count(request.query("n"), PAGE, PAGE))
    after = request.query("last")
    name = request.values.name
    rows = await manifests.referrers(resources, name, digest, types, after=after, limit=limit + 1)
    entries: list[bytes] = []
    size = 0
    for row in rows[:limit]:
        entry = json.dumps(_descriptor(row), separators=(",", ":")).encode("ascii")
        size += len(entry)
        if entries and size > PAGE_BYTES:
            break
        entries.append(entry)
    body = b'{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' % (
        OCI_INDEX.encode("ascii"),
        b",".join(entries),
    )
    # No parameters on the type: clients compare the string.
    headers = [
        (b"content-type", OCI_INDEX.encode("ascii")),
        (b"content-length", b"%d" % len(body)),
    ]
    if types:
        headers.append((b"oci-filters-applied", b"artifactType"))
    if len(rows) > len(entries):
        last = rows[len(entries) - 1].digest
        kinds = [("artifactType", kind) for kind in types]
        key, link = next_link(request.path, [*kinds, ("last", last), ("n", limit)])
        headers.append((key.lower().encode("ascii"), link.encode("ascii")))
    return Response(200, headers, body)


def _descriptor(row: manifests.ReferrerRow) -> dict[str, object]:
    entry: dict[str, object] = {
        "mediaType": row.media_type,
        "digest": row.digest,
        "size": row.size,
    }
    if row.artifact_type:
        entry["artifactType"] = row.artifact_type
    if row.annotations:
        entry["annotations"] = row.annotations
    return entry
