"""Small requests at a fixed number of connections, driven by a separate program."""

import json
from collections.abc import Callable, Mapping
from functools import partial

from bench.figures import Work
from bench.images import MANIFEST_TYPE, SmallImage, digest_of, push_bytes, put_manifest
from bench.loaders import drive_heads, drive_wrk
from bench.scenarios.scenario import Site, Stage
from bench.wire import Connection

REPOSITORY = "bench/requests"
TAG = "latest"
ACCEPT = {"Accept": MANIFEST_TYPE}


def manifest_by_tag(site: Site) -> Stage:
    """GET of a manifest by its tag."""
    _seed_image(site)
    return _wrk(site, f"manifests/{TAG}", ACCEPT)


def manifest_by_digest(site: Site) -> Stage:
    """GET of a manifest by its digest."""
    image = _seed_image(site)
    return _wrk(site, f"manifests/{digest_of(image.manifest)}", ACCEPT)


def blob_get(site: Site) -> Stage:
    """GET of a blob of 1 KiB."""
    image = _seed_image(site)
    return _wrk(site, f"blobs/{digest_of(image.layer)}")


def blob_head(site: Site) -> Stage:
    """HEAD of a blob."""
    image = _seed_image(site)
    target = f"/v2/{REPOSITORY}/blobs/{digest_of(image.layer)}"
    return _stage(
        site, lambda seconds: drive_heads(site.server.address, target, *_load(site, seconds))
    )


def tags_list(site: Site) -> Stage:
    """GET of the list of all tags of a repository."""
    image = _seed_image(site)
    tags = [f"tag-{number:04d}" for number in range(site.settings.listed_tags - 1)]
    if site.server.peer.plain_put:
        listed = json.dumps({"name": REPOSITORY, "tags": [TAG, *tags]}).encode()
        _put_plain(site, "tags/list", listed)
    else:
        with _connected(site) as connection:
            for tag in tags:
                put_manifest(connection, REPOSITORY, tag, image.manifest)
    _check_tags(site, len(tags) + 1)
    return _wrk(site, "tags/list")


def _check_tags(site: Site, count: int) -> None:
    with _connected(site) as connection:
        reply = connection.request("GET", f"/v2/{REPOSITORY}/tags/list").expect(200)
    found = len(json.loads(reply.body)["tags"])
    if found != count:
        raise ValueError(f"{found} tags in the list, {count} were pushed")


def _seed_image(site: Site) -> SmallImage:
    image = SmallImage.random()
    digests = [digest_of(data) for data in (image.config, image.layer)]
    manifests = (TAG, digest_of(image.manifest))
    if site.server.peer.plain_put:
        for digest, data in zip(digests, (image.config, image.layer), strict=True):
            _put_plain(site, f"blobs/{digest}", data)
        for reference in manifests:
            _put_plain(site, f"manifests/{reference}", image.manifest)
    else:
        with _connected(site) as connection:
            for data in (image.config, image.layer):
                push_bytes(connection, REPOSITORY, data)
            for reference in manifests:
                put_manifest(connection, REPOSITORY, reference, image.manifest)
    return image


def _connected(site: Site) -> Connection:
    return site.server.connect(site.server.authorization(REPOSITORY))


def _put_plain(site: Site, path: str, data: bytes) -> None:
    with _connected(site) as connection:
        connection.request("PUT", f"/v2/{REPOSITORY}/{path}", {}, data).expect(201, 204)


def _wrk(site: Site, path: str, headers: Mapping[str, str] | None = None) -> Stage:
    url = f"{site.server.address.url}/v2/{REPOSITORY}/{path}"
    sent = {**(headers or {}), **site.server.authorization(REPOSITORY)}
    return _stage(site, lambda seconds: drive_wrk(url, *_load(site, seconds), sent))


def _load(site: Site, seconds: int) -> tuple[int, int]:
    return site.settings.connections, seconds


def _stage(site: Site, drive: Callable[[int], Work]) -> Stage:
    """Some load before the timed part of each round, so that no side starts cold."""

    def stage(_number: int) -> Callable[[], Work]:
        if site.settings.warm_up:
            drive(site.settings.warm_up)
        return partial(drive, site.settings.rate_seconds)

    return stage
