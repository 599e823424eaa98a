"""Two workers on one folder, which come and go, and the model beside them."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kho.server.database.identities import roles
from kho.server.policy.access import parse_actions
from tests.flows.client import Answer, Body, Client, Fields
from tests.flows.people import People, basic, resources_of
from tests.flows.registry import Registry, Worker
from tests.model.dictionaries import GRANTS, REPOSITORIES, ROLE_NAMES, TAGGER, Model, User

T = TypeVar("T")

WORKERS = 2
CONTENTS = (b"{}", b"layer one", b"layer two!", b"", b"\x00\xff" * 700)
TAGS = ("latest", "1.0", "V_2")

workers = st.integers(0, WORKERS - 1)
people = st.integers(0, 1)
repositories = st.sampled_from(REPOSITORIES)
contents = st.sampled_from(CONTENTS)
tags = st.sampled_from(TAGS)
picks = st.integers(0, 7)


def picked(items: Sequence[T], pick: int) -> T | None:
    """One of the items, whatever their number is."""
    return items[pick % len(items)] if items else None


def said(answer: Answer) -> tuple[int, list[str]]:
    """Status and error codes; none of an answer without an error."""
    return answer.status, answer.codes if answer.status >= 400 else []


class Machine(RuleBasedStateMachine):
    """What all rules stand on. `open_registry` makes a registry on an empty folder."""

    def __init__(self, open_registry: Callable[[], Registry], *, guarded: bool) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.registry = open_registry()
        self.model = Model()
        self.people = [User(), User()]
        self.touched = REPOSITORIES[0]
        for _ in range(WORKERS):
            self.run(self.registry.start())
        if guarded:
            self.run(self.let_people_in())

    async def let_people_in(self) -> None:
        """From the first grant on nobody comes in without a name."""
        people = People(self.registry)
        write = resources_of(self.registry).database.write
        await write(roles.add, ROLE_NAMES[TAGGER], parse_actions(TAGGER))
        names = sorted({name for name, _ in GRANTS})
        secrets = {name: await people.user(name) for name in names}
        for (name, repository), actions in GRANTS.items():
            await people.grant(f"user:{name}", ROLE_NAMES[actions], repository)
        self.people = [User(name, (basic(name, secrets[name]),)) for name in names]

    def run(self, steps: Coroutine[Any, Any, T]) -> T:
        """Let it happen."""
        return self.runner.run(steps)

    def client(self, worker: int) -> Client:
        """Requests to one of the workers."""
        return self.registry.workers[worker].client

    def ask(
        self,
        worker: int,
        user: User,
        method: str,
        target: str,
        body: Body | None = None,
        *headers: tuple[str, str],
    ) -> Answer:
        """One request of a user; HEAD is compared with GET."""
        client, fields = self.client(worker), (*user.headers, *headers)
        if method == "HEAD":
            return self.run(client.head(target, *fields))
        return self.run(client.request(method, target, body, fields))

    def refused(self, answer: Answer, user: User, action: str, repository: str) -> bool:
        """Whether the user was turned away, which must be so when no grant has the action."""
        self.touched = repository
        if user.may(action, repository):
            assert answer.status not in (401, 403), answer
            return False
        assert said(answer) == (403, ["DENIED"]), answer
        return True

    @rule(which=st.integers(0, WORKERS), clean=st.booleans())
    def workers_go(self, which: int, clean: bool) -> None:
        """One, or all; at once, or as they should. Others take their places."""

        async def go() -> None:
            for worker in range(WORKERS):
                if which in (worker, WORKERS):
                    await self.replace(worker, clean=clean)

        self.run(go())

    async def replace(self, worker: int, *, clean: bool = False) -> None:
        old = self.registry.workers[worker]
        assert old._task is not None
        if clean:
            await old.stop()
        else:
            old._task.cancel()
            with suppress(asyncio.CancelledError):
                await old._task
        self.registry.workers[worker] = await Worker(self.registry.config).start()

    async def cut(
        self, worker: int, user: User, target: str, pieces: Sequence[bytes], headers: Fields
    ) -> bool:
        """A PATCH whose client leaves after some pieces; whether the application answered."""
        client = self.client(worker)
        fields = [*user.headers, *headers]
        async with client.exchange("PATCH", target, fields) as exchange:
            for piece in pieces:
                exchange.send(piece)
                await exchange.taken()
            exchange.disconnect()
            await exchange.finished()
            return exchange.answer is not None

    async def die_while_writing(
        self, worker: int, user: User, target: str, pieces: Sequence[bytes]
    ) -> None:
        """A PATCH whose worker goes after some pieces."""
        client = self.client(worker)
        async with client.exchange("PATCH", target, [*user.headers]) as exchange:
            for piece in pieces:
                exchange.send(piece)
                await exchange.taken()
            await exchange.cancel()
        await self.replace(worker)

    @invariant()
    def what_was_touched_is_as_it_should_be(self) -> None:
        """I2, I3, I8: what was acknowledged is there whole, what was removed is gone."""
        self.compare(self.touched)

    def compare(self, repository: str) -> None:
        """Ask for all that could be in a repository."""
        reader = next(user for user in self.people if user.may("pull", repository))
        here = self.model.repositories[repository]
        for digest, content in self.model.stored.items():
            answer = self.ask(0, reader, "GET", f"/v2/{repository}/blobs/{digest}")
            if digest in here.blobs:
                assert (answer.status, answer.body) == (200, content), (digest, answer)
            else:
                assert said(answer) == (404, ["BLOB_UNKNOWN"]), (digest, answer)
        for digest, content in here.manifests.items():
            answer = self.ask(1, reader, "GET", f"/v2/{repository}/manifests/{digest}")
            assert (answer.status, answer.body) == (200, content), (digest, answer)
        for tag in TAGS:
            answer = self.ask(0, reader, "GET", f"/v2/{repository}/manifests/{tag}")
            if tag in here.tags:
                assert answer.status == 200, (tag, answer)
                assert answer["Docker-Content-Digest"] == here.tags[tag]
                assert answer.body == here.manifests[here.tags[tag]]
            else:
                assert said(answer) == (404, ["MANIFEST_UNKNOWN"]), (tag, answer)

    def teardown(self) -> None:
        """Everything once more, then the end."""
        try:
            for repository in REPOSITORIES:
                self.compare(repository)
            self.compare_files()
        finally:
            self.run(self.registry.stop())
            self.runner.close()

    def compare_files(self) -> None:
        """I6: one file for each content, and no bytes of sessions that are over."""
        for digest, content in self.model.stored.items():
            assert self.registry.blob_file(digest).read_bytes() == content
        folder = self.registry.folder
        files = list(folder.glob("docker/registry/v2/blobs/*/*/*/data"))
        assert len(files) == len(self.model.stored)
        staged = {path.name for path in (folder / "uploads").glob("*")}
        assert staged <= {upload for _, upload in self.model.uploads}, staged
