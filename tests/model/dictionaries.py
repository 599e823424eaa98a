"""What a registry ought to hold, in dictionaries; and who ought to be let in."""

import json
from dataclasses import dataclass, field
from typing import Any

from kho.oci.digest import Digest
from tests.flows.client import Fields
from tests.oci.samples import Json

Session = tuple[str, str]  # repository, upload id

READER = frozenset({"pull"})
# May make tags, but not move them.
TAGGER = frozenset({"pull", "push", "create", "tag"})
WRITER = TAGGER | {"overwrite"}
MAINTAINER = WRITER | {"delete"}

REPOSITORIES = ("team/app", "shared", "new/one")
# Who has which role where; what is not here is refused.
GRANTS = {
    ("alice", "team/app"): MAINTAINER,
    ("alice", "shared"): TAGGER,
    ("bob", "team/app"): READER,
    ("bob", "shared"): MAINTAINER,
    ("bob", "new/one"): WRITER,
}
ROLE_NAMES = {READER: "reader", TAGGER: "tagger", WRITER: "writer", MAINTAINER: "maintainer"}


@dataclass
class User:
    """Somebody who asks; None for `name` is anyone in a registry without authentication."""

    name: str | None = None
    headers: Fields = ()

    def may(self, action: str, repository: str) -> bool:
        """Whether a grant has the action."""
        return self.name is None or action in GRANTS.get((self.name, repository), ())

    @property
    def sees_all(self) -> bool:
        """Whether everything may be read: no grant here goes that far."""
        return self.name is None


@dataclass
class Upload:
    """An open session: its owner, and the bytes that were acknowledged."""

    owner: User
    content: bytes = b""

    @property
    def shown(self) -> str:
        """What Range says."""
        return f"0-{max(0, len(self.content) - 1)}"


@dataclass
class Repository:
    """What one holds; `exists` from its first blob or manifest on, for ever."""

    exists: bool = False
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def lacks(self, content: bytes) -> bool:
        """Whether something that the manifest needs is not here."""
        value = json.loads(content)
        if "manifests" in value:
            wanted = [one["digest"] for one in value["manifests"]]
            return any(one not in self.manifests and one not in self.blobs for one in wanted)
        wanted = [one["digest"] for one in (value["config"], *value["layers"])]
        return any(one not in self.blobs for one in wanted)

    def subjects(self) -> list[str]:
        """The digests that something here refers to."""
        values = map(json.loads, self.manifests.values())
        return sorted({one["subject"]["digest"] for one in values if "subject" in one})

    def referrers(self, subject: str) -> list[Json]:
        """The descriptors of what refers to a digest, in order."""
        return [
            referrer(digest, content)
            for digest, content in sorted(self.manifests.items())
            if json.loads(content).get("subject", {}).get("digest") == subject
        ]


def referrer(digest: str, content: bytes) -> Json:
    """How a list of referrers shows a manifest."""
    value: Any = json.loads(content)
    entry = {"mediaType": value["mediaType"], "digest": digest, "size": len(content)}
    kind = value.get("artifactType") or value.get("config", {}).get("mediaType")
    if kind:
        entry["artifactType"] = kind
    if value.get("annotations"):
        entry["annotations"] = value["annotations"]
    return entry


@dataclass
class Model:
    """All of it. `stored` is every blob that ever was: its bytes stay when no link is left."""

    repositories: dict[str, Repository] = field(
        default_factory=lambda: {name: Repository() for name in REPOSITORIES}
    )
    uploads: dict[Session, Upload] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)

    def add_blob(self, repository: str, content: bytes, algorithm: str = "sha256") -> str:
        """A blob was taken; its digest."""
        digest = str(Digest.of(content, algorithm))
        here = self.repositories[repository]
        here.exists = True
        here.blobs[digest] = self.stored[digest] = content
        return digest

    def add_manifest(self, repository: str, content: bytes, digest: str, *tags: str) -> None:
        """A manifest was taken."""
        here = self.repositories[repository]
        here.exists = True
        here.manifests[digest] = content
        here.tags |= dict.fromkeys(tags, digest)

    def remove_manifest(self, repository: str, digest: str) -> None:
        """A manifest was deleted, and its tags went with it."""
        here = self.repositories[repository]
        del here.manifests[digest]
        here.tags = {tag: to for tag, to in here.tags.items() if to != digest}

    def catalog(self, user: User) -> list[str]:
        """What a user sees of the list of repositories, `/` lowest."""
        names = [
            name
            for name, here in self.repositories.items()
            if here.manifests and user.may("pull", name)
        ]
        return sorted(names, key=lambda name: name.replace("/", "!"))
