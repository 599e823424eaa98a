"""GET referrers (end-12)."""

import json
from typing import Final

from kho.oci.media_types import OCI_INDEX
from kho.oci.ranges import next_link, parse_count
from kho.server.registry import referrers
from kho.server.resources import Resources
from kho.server.web.request import Request, Response

PAGE: Final = 100
_TYPE: Final = OCI_INDEX.encode("ascii")


async def page(resources: Resources, request: Request) -> Response:
    """Always 200 with an index, empty for an unknown digest or repository."""
    digest = request.values.digest
    assert digest is not None
    types = [kind for kind in request.query_all("artifactType") if kind]
    limit = max(1, parse_count(request.query("n"), PAGE, PAGE))
    after = request.query("last")
    found = await referrers.page(
        resources, request.values.name, digest, types, after=after, limit=limit
    )
    body = b'{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' % (
        _TYPE,
        ",".join(map(_descriptor, found.rows)).encode("ascii"),
    )
    # No parameters on the type: clients compare the string.
    headers = [(b"content-type", _TYPE), (b"content-length", b"%d" % len(body))]
    if types:
        headers.append((b"oci-filters-applied", b"artifactType"))
    if found.more and found.rows:
        kinds = [("artifactType", kind) for kind in types]
        last = found.rows[-1].digest
        key, link = next_link(request.path, [*kinds, ("last", last), ("n", limit)])
        headers.append((key.lower().encode("ascii"), link.encode("ascii")))
    return Response(200, headers, body)


def _descriptor(row: referrers.ReferrerRow) -> str:
    entry: dict[str, object] = {
        "mediaType": row.media_type,
        "digest": row.digest,
        "size": row.size,
    }
    if row.artifact_type:
        entry["artifactType"] = row.artifact_type
    text = json.dumps(entry, separators=(",", ":"))
    if row.annotations in (None, "{}"):
        return text
    return f'{text[:-1]},"annotations":{row.annotations}}}'  # which are JSON as they are stored
