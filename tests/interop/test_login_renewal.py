"""A token that is good for nothing any more in the middle of a push: the push goes on."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from .access_log import Entry
from .gate import Gate
from .guarded import Guarded, guarded
from .signing_in import Client
from .small_images import SmallImage, small_image

# These look at how long a token was said to be good, and do not ask again when it is refused.
_BY_THE_CLOCK = ("docker", "podman", "skopeo", "regctl")
_BY_REFUSAL = ("containerd", "crane", "oras")
_TOKEN_SECONDS = 60  # the least that the setting allows, and that clients believe
_SIZE = 3 * 1024 * 1024
_FREE = 512 * 1024
# A worker looks once a second whether keys have changed.
_SEEN = 1.5

NewClient = Callable[[str, Guarded], Client]


@pytest.fixture
def large(tmp_path: Path) -> SmallImage:
    """An image that takes minutes on a slow line, and that no other test has pushed."""
    return small_image(tmp_path / "image", _SIZE)


@pytest.fixture
def brief(tmp_path: Path) -> Iterator[Guarded]:
    """A server whose tokens are good for a minute."""
    settings = {"KHO_AUTH_TOKEN_SECONDS": str(_TOKEN_SECONDS)}
    with guarded(tmp_path / "brief", people=["willa"], settings=settings) as door:
        yield door


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
    _assert_renewed(door.server.log.since(mark), repository)


def _assert_renewed(entries: list[Entry], repository: str) -> None:
    """First a refusal, then a new token, then the manifest."""
    story = [
        kind
        for entry in entries
        for kind, happened in (
            ("refused", entry.status == 401 and f"/{repository}/" in entry.path),
            ("token", entry.status == 200 and entry.path == "/token"),
            ("pushed", entry.status == 201 and f"/{repository}/manifests/" in entry.path),
        )
        if happened
    ]
    assert story[:1] == ["refused"], entries
    assert "pushed" in story[story.index("token") :], entries


def test_pushes_go_on_when_their_tokens_run_out(
    brief: Guarded, tmp_path: Path, new_client: NewClient
) -> None:
    """All at once, since a minute has to pass."""
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor())
        gates = {
            name: stack.enter_context(Gate(brief.server.port, _FREE)) for name in _BY_THE_CLOCK
        }
        pushing = {}
        for name, gate in gates.items():
            client = new_client(name, brief.at(gate.port))
            client.login("willa").must_succeed()
            image = small_image(tmp_path / f"image-{name}", _SIZE)
            pushing[name] = threads.submit(client.push, image, f"{name}/expired")
            assert gate.wait_until_slow(60), pushing[name]
        time.sleep(_TOKEN_SECONDS + 2)
        for name, gate in gates.items():
            assert not pushing[name].done(), pushing[name].result()
            gate.open()
        for name, pushed in pushing.items():
            pushed.result().must_succeed()
            assert brief.digest(f"{name}/expired", "1")
            assert b"/token" in gates[name].asked, f"{name} asked for no new token"
