"""W1: two hundred hostile texts in every field that pages show: they are shown, and do nothing."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser

from .chrome import Watched, person, sign_in
from .content import Hand, Json, layer
from .hostile import FOUND, TEXTS
from .many import again
from .world import ADMIN, PASSWORDS, SBOM, World, started, wait_for_files

NAME = "h/labels"
TAGS = ("__proto__", "constructor", "javascript", "-".join("abc"), "_", "0x3Cscript0x3E")
_PACK = 20
# What a path of a layer may be: no NUL, not upwards, and short.
PATHS = tuple(one for one in TEXTS if "\0" not in one and ".." not in one and len(one) < 200)
SHOWN_PATHS = ("href", "onerror", "script")


# A page shows the first of many labels: so few are shown, all of them.
CONFIGURED = "h/config"
CONFIGS = {f"n{first}": TEXTS[first : first + 40] for first in range(0, len(TEXTS), 40)}
_LINK = {"org.opencontainers.image.url": "javascript:owned=1"}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A registry full of them."""
    home = tmp_path_factory.mktemp("hostile")
    with started(home / "one") as server:
        hand = Hand(server.port, ADMIN, PASSWORDS[ADMIN])
        digests = _push(hand)
        hand.api("POST", "/robots", {"name": "ci", "description": TEXTS[0]})
        hand.api("POST", "/tokens", {"owner": "user:ada", "name": "laptop"})
        wait_for_files(World(server, {}), f"{NAME}:1")
        data = server.data
    _write(data)
    with again(home / "one") as server:
        yield World(server, digests)
    shutil.rmtree(home)


def _run(texts: tuple[str, ...]) -> Json:
    """What a config says of running, in as many texts as fit where each stands."""
    return {
        "Env": [f"{text}={text}" for text in texts],
        "Labels": dict(zip(texts, texts, strict=True)) | _LINK,
        "Cmd": list(texts),
        "Entrypoint": list(texts),
        "User": texts[0],
        "WorkingDir": texts[1],
        "Volumes": {one: {} for one in texts},
        "ExposedPorts": {one: {} for one in texts},
        "Shell": list(texts),
        "StopSignal": texts[2],
        "Healthcheck": {"Test": list(texts)},
    }


def _push(hand: Hand) -> dict[str, str]:
    """Everything that a push can say."""
    files = {f"d{number}/{text}".strip("/"): b"x" for number, text in enumerate(PATHS)}
    files["all.txt"] = "\n".join(PATHS).encode()
    links = {f"links/{number}": text for number, text in enumerate(PATHS)}
    texts = dict(zip(TEXTS, TEXTS, strict=True))
    run = _run(TEXTS)
    for config_tag, some in CONFIGS.items():
        told = dict(zip(some, some, strict=True))
        hand.image(CONFIGURED, config_tag, config={"config": _run(some)}, annotations=told)
    history = [{"created_by": text, "comment": text, "empty_layer": True} for text in TEXTS]
    config: Json = {"config": run, "author": TEXTS[3], "history": [*history, {"created_by": "x"}]}
    config |= {"os": "<img src=x onerror=owned=1>", "architecture": "{{7*7}}", "variant": "<b>"}
    found = hand.image(NAME, "1", layer(files, links), config=config, annotations=texts)
    for tag in TAGS:
        hand.image(NAME, tag, config={"author": tag}, annotations={"a": "b"})
    subject = {**found, "artifactType": None}
    del subject["artifactType"]
    for number, text in enumerate(TEXTS):
        said = {f"h{number}": text, text: "x"}
        hand.artifact(NAME, None, SBOM, b"{}", subject=subject, annotations=said)
        about = {"org.opencontainers.image.description": text, "org.opencontainers.image.url": text}
        hand.image(f"h/n{number:03}", "1", config={"config": {"Labels": about}})
    for number in range(0, len(TEXTS), _PACK):
        hand.image(f"readme/n{number:03}", "1", config={})
    return {"image": found["digest"]}


def _write(data: Path) -> None:
    """What people and machines say otherwise, as rows: many times faster than by signing in."""
    with closing(sqlite3.connect(data / "kho.db")) as rows, rows:
        for number in range(0, len(TEXTS), _PACK):
            some = TEXTS[number : number + _PACK]
            name = f"readme/n{number:03}"
            (row,) = rows.execute("SELECT id FROM repositories WHERE name = ?", (name,))
            rows.execute("INSERT INTO readmes VALUES (?, 1, 'user:ada', ?)", (*row, _lines(some)))
            told = " ".join(some).replace("\0", "")
            rows.execute("UPDATE repositories SET description = ? WHERE id = ?", (told, *row))
        for number, text in enumerate(one.replace("\0", "") for one in TEXTS):
            robot = f"robot-{number:03}"
            rows.execute("INSERT INTO robots VALUES (?, ?, 0, 1)", (robot, text))
            rows.execute(_CREDENTIAL, (f"t{number}", "personal", text, None))
            rows.execute(_CREDENTIAL, (f"s{number}", "session", text, json.dumps({"a": text})))
            details = json.dumps({"agent": text, text: text})
            event = (number, text, f"user:{text}", text, text, text, text, details)
            rows.execute(_EVENT, event)


_CREDENTIAL = """
INSERT INTO credentials (secret_hash, kind, subject, name, details, created_at)
VALUES (?, ?, 'user:ada', ?, ?, 1)
"""
_EVENT = """
INSERT INTO audit_events
(at, action, outcome, actor, repository, target, address, request_id, count, details)
VALUES (? + 1700000000000, ?, 'denied', ?, ?, ?, ?, ?, 1, ?)
"""


def _lines(texts: tuple[str, ...]) -> str:
    return "\n\n".join(texts).replace("\0", "")


@pytest.fixture(scope="module")
def victim(browser: Browser, hostile: World) -> Iterator[Watched]:
    """The administrator, looking."""
    with person(browser, hostile.base) as watched:
        sign_in(watched, ADMIN, PASSWORDS[ADMIN])
        yield watched


def unharmed(watched: Watched, path: str, *shown: str) -> None:
    """Open the page, and find nothing in it that a text has made; these texts are there."""
    watched.wrong.clear()
    answer = watched.page.goto(watched.base + path, wait_until="load")
    assert answer is not None
    assert answer.status in (200, 400, 404, 410), path
    found: list[str] = watched.page.evaluate(FOUND)
    assert (path, found + watched.wrong) == (path, [])
    assert watched.page.url.startswith(watched.base + "/"), path
    if shown:
        text = watched.page.locator("main").text_content() or ""
        assert [one for one in shown if one not in text] == [], path


_IMAGE = f"/{NAME}:1"


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/?view=grouped", "/?sort=pushed", "/-/search", "/-/storage", f"/{NAME}"),
        *(f"/{NAME}/-/{tab}" for tab in ("tags", "versions", "history", "activity", "settings")),
        *(f"{_IMAGE}?view={view}" for view in ("layers", "files", "manifest", "attachments")),
        *(f"{_IMAGE}?view=files&path=links", f"{_IMAGE}?view=files&layer=1"),
        *(f"{_IMAGE}?view=files&q={text}" for text in SHOWN_PATHS),
        f"/{NAME}/-/diff?a=1&b=_",
        f"/{NAME}/-/delete?tag=1&tag=__proto__",
        *(f"/-/account/{tab}" for tab in ("tokens", "sessions")),
        *(f"/-/admin/{tab}" for tab in ("robots", "tokens", "audit", "repositories")),
        "/-/admin/robots/robot-001",
        "/-/admin/audit?outcome=denied",
    ],
)
def test_W1_pages_show_hostile_texts_and_nothing_happens(victim: Watched, path: str) -> None:
    unharmed(victim, path)


@pytest.mark.parametrize("number", CONFIGS)
def test_W1_config_labels_and_annotations_are_text(victim: Watched, number: str) -> None:
    shown = [one for one in CONFIGS[number] if len(one) < 60 and one.isprintable()]
    unharmed(victim, f"/{CONFIGURED}:{number}?view=config&reveal=1", *shown)


def test_W1_a_file_is_text(victim: Watched) -> None:
    shown = [one for one in PATHS if one.isprintable()]
    unharmed(victim, f"{_IMAGE}/-/file?path=all.txt", *shown)


def test_W1_a_file_is_downloaded_and_never_shown(victim: Watched) -> None:
    answer = victim.page.request.get(f"{victim.base}{_IMAGE}/-/raw?path=all.txt")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_W1_every_page_of_lists(victim: Watched) -> None:
    for first in ("/", "/-/search?q=n0", f"/{NAME}/-/versions", "/-/admin/robots"):
        unharmed(victim, first)
        for _ in range(6):
            more = victim.page.locator("nav.pager a[rel=next]")
            if not more.count():
                break
            address = more.get_attribute("href") or ""
            unharmed(victim, address if address[0] == "/" else first.partition("?")[0] + address)


@pytest.mark.parametrize("number", range(0, len(TEXTS), _PACK))
def test_W1_readmes_and_descriptions(victim: Watched, number: int) -> None:
    unharmed(victim, f"/readme/n{number:03}")
    unharmed(victim, f"/readme/n{number:03}/-/settings")
    unharmed(victim, f"/h/n{number:03}")


_QUERIES = (
    "/?q={}",
    "/?namespace={}&sort={}&platform={}&cursor={}&days={}",
    "/-/storage?namespace={}",
    f"/{NAME}/-/tags?q={{}}&sort={{}}",
    f"/{NAME}/-/history?tag={{}}",
    f"/{NAME}/-/diff?a={{}}&b={{}}",
    f"/{NAME}/-/rollback?tag={{}}&to={{}}",
    f"/{NAME}/-/delete?tag={{}}&digest={{}}",
    f"{_IMAGE}?view={{}}&platform={{}}",
    f"{_IMAGE}?view=files&q={{}}&path={{}}",
    f"{_IMAGE}/-/file?path={{}}",
    "/-/admin/audit?actor={}&since={}&action={}",
    "/-/admin/users?q={}",
    "/-/admin/grants?subject={}&repository={}",
    "/-/admin/access?subject={}&action={}&repository={}",
    "/-/admin/repositories?name={}&q={}",
    "/-/admin/users/{}",
    "/auth/login?next={}",
    "/auth/device?user_code={}",
    "/setup?code={}",
    "/-/account?done={}",
    "/{}",
    f"/{NAME}:{{}}",
)


@pytest.mark.parametrize("turn", range(4))
def test_W1_what_was_asked_for_is_text(victim: Watched, turn: int) -> None:
    for number, text in enumerate(TEXTS):
        if number % 4 != turn:
            continue
        word = quote(text.encode("utf-8", "surrogatepass"), safe="")
        unharmed(victim, "/-/search?q=" + word)
        unharmed(victim, _QUERIES[number % len(_QUERIES)].replace("{}", word))


def test_W1_the_user_agent_of_a_session_is_text(browser: Browser, hostile: World) -> None:
    agent = "<script>owned=1</script><img src=x onerror=owned=1>"
    with person(browser, hostile.base, user_agent=agent) as watched:
        sign_in(watched, ADMIN, PASSWORDS[ADMIN])
        unharmed(watched, "/-/account/sessions", "<script>owned=1</script>")
        unharmed(watched, "/-/admin/audit?action=login")


def test_the_corpus_is_large_and_the_look_can_fail(victim: Watched) -> None:
    assert len(TEXTS) >= 200
    victim.go("/")
    made: Any = "document.body.insertAdjacentHTML('beforeend', '<a href=javascript:1 onx=1>a</a>')"
    victim.page.evaluate(made)
    assert len(victim.page.evaluate(FOUND)) == 2
