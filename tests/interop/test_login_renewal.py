"""A token that is good for nothing any more in the middle of a push: the push goes on."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest

from .access_log import Entry
from .gate import Gate
from .guarded import Guarded, guarded
from .processes import Outcome
from .signing_in import Client
from .small_images import SmallImage, small_image

# These look at how long a token was said to be good, and do not ask again when it is refused.
_BY_THE_CLOCK = ("docker", "podman", "skopeo", "regctl")
_BY_REFUSAL = ("containerd", "crane", "oras")
_TOKEN_SECONDS = 60  # the least that the setting allows, and that clients believe
_SIZE = 4 * 1024 * 1024
_FREE = 512 * 1024
# A worker looks once a second whether keys have changed.
_SEEN = 1.5

NewClient = Callable[[str, Guarded], Client]


@pytest.fixture
def large(tmp_path: Path) -> SmallImage:
    """An image that takes minutes on a slow line, and that no other test has pushed."""
    return small_image(tmp_path / "image", _SIZE)


@pytest.fixture
def brief(tmp_path: Path) -> Iterator[tuple[Guarded, ...]]:
    """Two servers whose tokens are good for a minute: over plain HTTP, and over TLS."""
    settings = {"KHO_AUTH_TOKEN_SECONDS": str(_TOKEN_SECONDS)}
    with ExitStack() as stack:
        yield tuple(
            stack.enter_context(
                guarded(tmp_path / name, tls=tls, people=["willa"], settings=settings)
            )
            for name, tls in (("http", False), ("tls", True))
        )


@pytest.mark.parametrize("line", ["http", "tls"])
@pytest.mark.parametrize("name", _BY_REFUSAL)
def test_push_goes_on_when_its_token_is_refused(
    name: str,
    line: str,
    large: SmallImage,
    new_client: NewClient,
    request: pytest.FixtureRequest,
) -> None:
    door: Guarded = request.getfixturevalue(f"{line}_door")
    repository = f"{name}-{line}/rotated"
    with ThreadPoolExecutor() as threads, Gate(door.server.port, _FREE) as gate:
        client = new_client(name, door.at(gate.port))
        client.login("willa").must_succeed()
        pushing = threads.submit(client.push, large, repository)
        assert gate.wait_until_slow(30), pushing
        mark = door.server.log.mark()
        door.khod("keys", "rotate", "--drop-old")
        time.sleep(_SEEN)
        gate.open()
        pushing.result().must_succeed()
    assert door.digest(repository, "1") == large.digest
    story = _story(door.server.log.since(mark), repository)
    assert story[0] == "refused", story
    assert "pushed" in story[story.index("token") :], story


def _story(entries: list[Entry], repository: str) -> list[str]:
    """What happened: a refusal, a new token, a manifest."""
    return [
        kind
        for entry in entries
        for kind, happened in (
            ("refused", entry.status == 401 and f"/{repository}/" in entry.path),
            ("token", entry.status == 200 and entry.path == "/token"),
            ("pushed", entry.status == 201 and f"/{repository}/manifests/" in entry.path),
        )
        if happened
    ]


def test_pushes_go_on_when_their_tokens_run_out(
    brief: tuple[Guarded, ...], tmp_path: Path, new_client: NewClient
) -> None:
    """All at once, since a minute has to pass; then one after another, to see what each asks."""
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(len(brief) * len(_BY_THE_CLOCK)))
        begun: list[_Push] = []
        for number, (door, name) in enumerate(product(brief, _BY_THE_CLOCK)):
            gate = stack.enter_context(Gate(door.server.port, _FREE))
            client = new_client(name, door.at(gate.port))
            client.login("willa").must_succeed()
            image = small_image(tmp_path / f"image-{number}", _SIZE)
            ending = threads.submit(client.push, image, f"{name}/expired")
            assert gate.wait_until_slow(60), ending
            begun.append(_Push(f"{name}/expired", door, gate, ending))
        time.sleep(_TOKEN_SECONDS + 2)
        for push in begun:
            push.goes_on()


class _Push(NamedTuple):
    """A push that waits on a slow line."""

    repository: str
    door: Guarded
    gate: Gate
    ending: Future[Outcome]

    def goes_on(self) -> None:
        """It ends well, and has fetched a token on its way."""
        log = self.door.server.log
        assert not self.ending.done(), self.ending.result()
        mark = log.mark()
        self.gate.open()
        self.ending.result().must_succeed()
        story = _story(log.since(mark), self.repository)
        assert "pushed" in story[story.index("token") :], story
