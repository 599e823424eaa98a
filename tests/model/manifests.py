"""Rules about manifests, tags and lists."""

import re
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from kho.oci.digest import Digest
from kho.oci.media_types import OCI_MANIFEST
from tests.flows.client import Answer
from tests.model.dictionaries import Repository, User
from tests.model.machine import (
    CONTENTS,
    TAGS,
    Machine,
    contents,
    people,
    picked,
    picks,
    repositories,
    said,
    tags,
    workers,
)
from tests.oci.samples import CONFIG_TYPE, descriptor, encode, image, index

ARTIFACT = "application/vnd.example.sbom"
conditions = st.sampled_from((*("none",) * 6, "if-match", "if-match *", "if-none-match *", "stale"))
ways = st.sampled_from(("tag", "digest", "digest and tags"))


@dataclass
class Push:
    """How a manifest is pushed: which one, with its blobs before it or not, under what names."""

    pick: int
    names: list[str]
    prepared: bool = True
    way: str = "tag"
    condition: str = "none"


pushes = st.builds(
    Push,
    pick=st.integers(0, 99),
    names=st.lists(tags, min_size=1, max_size=2, unique=True),
    prepared=st.sampled_from((True, True, False)),
    way=ways,
    condition=conditions,
)


class Manifests(Machine):
    """Manifests, tags, referrers, the catalog."""

    def __init__(self, *arguments: object, **more: object) -> None:
        self.made: list[bytes] = [encode(image())]  # every manifest that was thought of
        super().__init__(*arguments, **more)  # type: ignore[arg-type]

    @initialize(
        chosen=st.lists(st.tuples(repositories, people, picks, tags), min_size=2, max_size=6)
    )
    def begin_with_manifests(self, chosen: list[tuple[str, int, int, str]]) -> None:
        self.think_of_an_image(b"{}", [b"layer one"], 1, marked=True)
        self.think_of_an_index([0, 1], None)
        for repository, who, pick, tag in chosen:
            self.push_manifest(who, 0, repository, Push(pick, [tag]))

    @rule(config=contents, layers=st.lists(contents, max_size=2), pick=picks, marked=st.booleans())
    def think_of_an_image(
        self, config: bytes, layers: list[bytes], pick: int, marked: bool
    ) -> None:
        """Its subject need not be there."""
        more: dict[str, object] = {}
        subject = picked(self.made, pick)
        if pick % 2 and subject is not None:
            more["subject"] = descriptor(subject, OCI_MANIFEST)
        if marked:
            more |= {"artifactType": ARTIFACT, "annotations": {"note": f"{pick}"}}
        self.think_of(encode(image(config, *layers, **more)))

    @rule(chosen=st.lists(picks, max_size=2), blob=st.none() | contents)
    def think_of_an_index(self, chosen: list[int], blob: bytes | None) -> None:
        children = [one for pick in chosen if (one := picked(self.made, pick)) is not None]
        value = index(*children)
        if blob is not None:  # BuildKit's cache lists blobs
            value["manifests"].append(descriptor(blob))
        self.think_of(encode(value))

    def think_of(self, content: bytes) -> None:
        if content not in self.made:
            self.made.append(content)

    @rule(who=people, worker=workers, repository=repositories, push=pushes)
    def push_manifest(self, who: int, worker: int, repository: str, push: Push) -> None:
        user, here = self.people[who], self.model.repositories[repository]
        content = self.made[push.pick % len(self.made)]
        digest = str(Digest.of(content))
        if push.prepared and user.may("push", repository):
            self.push_blobs(worker, user, repository, content)
        reference, query, marks = push.names[0], "", push.names[:1]
        if push.way != "tag":
            reference, marks = digest, push.names if push.way == "digest and tags" else []
            query = "&".join(f"tag={one}" for one in marks)
        headers = self.condition(push.condition, here, push.names[0])
        target = f"/v2/{repository}/manifests/{reference}?{query}"
        answer = self.ask(worker, user, "PUT", target, content, *headers)
        self.check_push(answer, user, repository, content, marks, push.condition)

    def push_blobs(self, worker: int, user: User, repository: str, content: bytes) -> None:
        """What an image needs, as far as it is one of the known contents."""
        for blob in CONTENTS:
            digest = Digest.of(blob)
            if str(digest).encode() in content:
                target = f"/v2/{repository}/blobs/uploads/?digest={digest}"
                assert self.ask(worker, user, "POST", target, blob).status == 201
                self.model.add_blob(repository, blob)

    def condition(self, condition: str, here: Repository, tag: str) -> list[tuple[str, str]]:
        current = here.tags.get(tag, str(Digest.of(b"nothing")))
        return {
            "none": [],
            "if-match": [("If-Match", f'"{current}"')],
            "if-match *": [("If-Match", "*")],
            "if-none-match *": [("If-None-Match", "*")],
            "stale": [("If-Match", f'"{Digest.of(b"something else")}"')],
        }[condition]

    def check_push(
        self,
        answer: Answer,
        user: User,
        repository: str,
        content: bytes,
        marks: list[str],
        condition: str,
    ) -> None:
        here, digest = self.model.repositories[repository], str(Digest.of(content))
        self.touched = repository
        if not user.may("push", repository):
            assert said(answer) == (403, ["DENIED"]), answer
        elif marks and not self.held(condition, here, marks[0]):
            assert answer.status == 412, answer
        elif here.lacks(content):
            code, wrong = said(answer)
            assert (code, set(wrong)) == (400, {"MANIFEST_BLOB_UNKNOWN"}), answer
        elif not all(self.may_point(user, repository, tag, digest) for tag in marks):
            assert said(answer) == (403, ["DENIED"]), answer
        else:
            assert (answer.status, answer["Docker-Content-Digest"]) == (201, digest), answer
            self.model.add_manifest(repository, content, digest, *marks)

    def held(self, condition: str, here: Repository, tag: str) -> bool:
        present = tag in here.tags
        outcome = {"if-match": present, "if-match *": present, "if-none-match *": not present}
        return outcome.get(condition, condition == "none")

    def may_point(self, user: User, repository: str, tag: str, digest: str) -> bool:
        current = self.model.repositories[repository].tags.get(tag)
        if current == digest:
            return True
        return user.may("tag" if current is None else "overwrite", repository)

    @rule(who=people, worker=workers, repository=repositories, pick=picks)
    def delete_tag(self, who: int, worker: int, repository: str, pick: int) -> None:
        user = self.people[who]
        tag = picked(sorted(self.model.repositories[repository].tags), pick) or TAGS[0]
        answer = self.ask(worker, user, "DELETE", f"/v2/{repository}/manifests/{tag}")
        if self.refused(answer, user, "delete", repository):
            return
        known = self.model.repositories[repository].tags.pop(tag, None)
        assert answer.status == (404 if known is None else 202), answer

    @rule(who=people, worker=workers, repository=repositories, pick=st.integers(0, 99))
    def delete_manifest(self, who: int, worker: int, repository: str, pick: int) -> None:
        """Its tags go with it; what else lists it or refers to it stays."""
        user, here = self.people[who], self.model.repositories[repository]
        digest = picked(sorted(here.manifests), pick) or str(Digest.of(b"never"))
        target = f"/v2/{repository}/manifests/{digest}"
        answer = self.ask(worker, user, "DELETE", target)
        if self.refused(answer, user, "delete", repository):
            return
        assert answer.status == (202 if digest in here.manifests else 404), answer
        if digest in here.manifests:
            self.model.remove_manifest(repository, digest)
        gone = self.ask(worker, user, "GET", target)
        assert said(gone) == (404, ["MANIFEST_UNKNOWN"]), gone

    @rule(
        who=people,
        worker=workers,
        repository=repositories,
        reference=tags | st.integers(0, 99),
        cached=st.booleans(),
    )
    def head_of_manifest(
        self, who: int, worker: int, repository: str, reference: str | int, cached: bool
    ) -> None:
        user, here = self.people[who], self.model.repositories[repository]
        if isinstance(reference, int):
            reference = picked(sorted(here.manifests), reference) or str(Digest.of(b"never"))
        digest = here.tags.get(reference, reference)
        headers = [("If-None-Match", f'"{digest}"')] if cached else []
        target = f"/v2/{repository}/manifests/{reference}"
        answer = self.ask(worker, user, "HEAD", target, None, *headers)
        if not user.may("pull", repository):
            assert answer.status == 403
        elif digest not in here.manifests:
            assert answer.status == 404
        else:
            assert answer.status == (304 if cached else 200), answer
            assert answer["Docker-Content-Digest"] == digest

    def pages(self, worker: int, user: User, target: str, key: str) -> list[list[object]]:
        """Every page of a list, by its links."""
        found = []
        while target:
            answer = self.ask(worker, user, "GET", target)
            assert answer.status == 200, answer
            found.append(answer.json()[key])
            (link,) = answer.all("Link") or [""]
            match = re.fullmatch(r'<(/v2/[^>]*)>; rel="next"', link)
            assert bool(match) == bool(link)
            target = match[1] if match else ""
            assert len(found) < 100
        return found

    @rule(who=people, worker=workers, repository=repositories, size=st.integers(1, 5))
    def list_tags(self, who: int, worker: int, repository: str, size: int) -> None:
        user, here = self.people[who], self.model.repositories[repository]
        target = f"/v2/{repository}/tags/list?n={size}"
        first = self.ask(worker, user, "GET", target)
        if self.refused(first, user, "pull", repository):
            return
        if not here.exists:
            assert said(first) == (404, ["NAME_UNKNOWN"]), first
            return
        found = self.pages(worker, user, target, "tags")
        assert all(len(page) == size for page in found[:-1])
        assert [tag for page in found for tag in page] == sorted(here.tags)
        assert set(here.tags) <= set(TAGS)

    @rule(who=people, worker=workers, size=st.integers(1, 5))
    def list_repositories(self, who: int, worker: int, size: int) -> None:
        user = self.people[who]
        found = self.pages(worker, user, f"/v2/_catalog?n={size}", "repositories")
        assert all(len(page) == size for page in found[:-1])
        assert [name for page in found for name in page] == self.model.catalog(user)

    @rule(
        who=people,
        worker=workers,
        repository=repositories,
        pick=st.integers(0, 99),
        size=st.integers(1, 3),
        kind=st.sampled_from((None, ARTIFACT, CONFIG_TYPE, "application/x")),
    )
    def list_referrers(
        self, who: int, worker: int, repository: str, pick: int, size: int, kind: str | None
    ) -> None:
        user, here = self.people[who], self.model.repositories[repository]
        subject = picked(here.subjects(), pick) or str(Digest.of(self.made[0]))
        target = f"/v2/{repository}/referrers/{subject}?n={size}"
        if kind is not None:
            target += f"&artifactType={kind}"
        first = self.ask(worker, user, "GET", target)
        if self.refused(first, user, "pull", repository):
            return
        assert ("OCI-Filters-Applied" in first) == (kind is not None)
        found = self.pages(worker, user, target, "manifests")
        expected = here.referrers(subject)
        wanted = [one for one in expected if kind in (None, one.get("artifactType"))]
        assert [one for page in found for one in page] == wanted
