"""Schemathesis against a real server: whatever is sent, the answer is as the document says.

the document ──> data that fits it, and data that does not ──> khod ──> checks
"""

import base64
import contextlib
import gzip
import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from kho.server.policy.access import Action
from kho.server.web.api.openapi import document
from kho.server.web.api.table import OPERATIONS
from tests.interop.servers import KHOD, serving
from tests.oci.samples import image

# What is there, so that answers are seen that are no 404.
KNOWN = {
    "user": "alice",
    "group": "web",
    "robot": "ci",
    "role": "deployer",
    "rule": "pods",
    "name": "team/app",
    "reference": "1.0",
    "digest": f"sha256:{'0' * 64}",
    "tag": "1.0",
}
OPEN = frozenset({Action.BROWSE, Action.PULL})
SCRATCH = {"name": "scratch/app", "digest": f"sha256:{'0' * 64}"}
SHORT = 40
TOO_LARGE = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.REQUEST_URI_TOO_LONG}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def rejected(context: Any, response: Any, case: Any) -> bool | None:
    """What does not fit the document is refused; what is too large is, too."""
    if response.status_code in TOO_LARGE:
        return None
    return negative_data_rejection(context, response, case)


def khod(data: Path, *words: str, given: str = "") -> str:
    """Run a command of the operator's; what it prints."""
    command = [str(KHOD), *words, "--data", str(data)]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    return done.stdout.strip()


# How what is there is made, by the API itself.
MADE: tuple[tuple[str, Any], ...] = (
    ("/users", {"name": "alice", "password": "a long password"}),
    ("/groups", {"name": "web"}),
    ("/robots", {"name": "ci"}),
    ("/roles", {"name": "deployer", "actions": ["pull", "push"]}),
    ("/grants", {"subject": "user:alice", "role": "deployer", "pattern": "team/**"}),
    (
        "/trust",
        {
            "name": "pods",
            "robot": "ci",
            "issuer": "https://k8s.example.com",
            "preset": {"of": "kubernetes", "account": "team/app"},
        },
    ),
)


@dataclass(frozen=True)
class Registry:
    """A server, and the header of its administrator."""

    url: str
    admin: dict[str, str]

    def push(self, name: str, tag: str) -> None:
        """Push an image of one layer."""
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as file:
            file.addfile(tarfile.TarInfo("etc/motd"), io.BytesIO(b""))
        layer, config = gzip.compress(tar.getvalue()), b'{"os":"linux","architecture":"amd64"}'
        where = f"{self.url}/v2/{name}"
        for content in (layer, config):
            digest = hashlib.sha256(content).hexdigest()
            found = requests.post(
                f"{where}/blobs/uploads/?digest=sha256:{digest}",
                data=content,
                headers=self.admin,
                timeout=10,
            )
            assert found.status_code == 201, found.text
        manifest = json.dumps(image(config, layer)).encode()
        kind = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
        put = requests.put(
            f"{where}/manifests/{tag}", data=manifest, headers={**self.admin, **kind}, timeout=10
        )
        assert put.status_code == 201, put.text


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with some of everything."""
    home = tmp_path_factory.mktemp("api")
    data = home / "data"
    data.mkdir()
    khod(data, "users", "add", "root", "--admin", "--password-stdin", given="a long password")
    secret = khod(data, "tokens", "create", "--user", "root", "--name", "fuzz")
    header = "Basic " + base64.b64encode(f"root:{secret}".encode()).decode()
    with serving(home, kind="khod") as server:
        registry = Registry(f"http://{server.host}", {"Authorization": header})
        for path, body in MADE:
            made = requests.post(
                f"{registry.url}/api/v1{path}", json=body, headers=registry.admin, timeout=10
            )
            assert made.status_code == 201, made.text
        registry.push("team/app", "1.0")
        registry.push("scratch/app", "1.0")
        yield registry


def brief(value: Any, mode: GenerationMode) -> Any:
    """The document with short texts: to make and to judge long ones takes most of the time.

    What is right stays so; what is wrong is so for other reasons than its length.
    """
    if isinstance(value, list):
        return [brief(one, mode) for one in value]
    if not isinstance(value, dict):
        return value
    found = {key: brief(one, mode) for key, one in value.items()}
    if isinstance(found.get("maxLength"), int) and found["maxLength"] > SHORT:
        del found["maxLength"]
        if mode is GenerationMode.POSITIVE:
            found["maxLength"] = SHORT
    return found


def operations(mode: GenerationMode) -> list[Any]:
    """Those of the document."""
    schema = schemathesis.openapi.from_dict(brief(document(OPERATIONS), mode))
    return [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


def parts_of(operation: Any) -> dict[str, str]:
    """Known things for what only looks; for what changes something another repository.

    Names of these are slow to make by their pattern, and would never be those of anything.
    """
    parts = set(re.findall(r"{(\w+)}", operation.path))
    known = KNOWN if operation.method == "get" else SCRATCH
    return {part: text for part, text in known.items() if part in parts}


def send_everything(
    registry: Registry,
    mode: GenerationMode,
    headers: dict[str, str],
    examples: int,
    only: frozenset[Action] = frozenset(Action),
) -> None:
    """Send data of the mode to all operations that ask for these actions."""
    session = requests.Session()
    checks = [*CHECKS, rejected] if mode is GenerationMode.NEGATIVE else CHECKS
    for operation in operations(mode):
        if operation.definition.raw["x-kho-action"] not in only:
            continue
        known = parts_of(operation) if mode is GenerationMode.POSITIVE else {}
        cases = operation.as_strategy(generation_mode=mode, path_parameters=known or None)

        @settings(
            max_examples=examples,
            phases=[Phase.generate],
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases)
        def sent(case: Any) -> None:
            case.call_and_validate(
                base_url=registry.url, session=session, headers=headers, checks=checks
            )

        with contextlib.suppress(Unsatisfiable):  # there is nothing to be wrong
            sent()


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_an_administrator_sends_anything(registry: Registry, mode: GenerationMode) -> None:
    send_everything(registry, mode, registry.admin, 2)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_nobody_sends_anything(registry: Registry, mode: GenerationMode) -> None:
    send_everything(registry, mode, {}, 2, OPEN)
