"""Schemathesis against a real server: whatever is sent, the answer is as the document says.

the document ──> data that fits it, and data that does not ──> khod ──> checks
"""

import base64
import contextlib
import subprocess
from collections.abc import Iterator
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

from kho.server.web.api.openapi import document
from kho.server.web.api.table import OPERATIONS
from tests.interop.servers import KHOD, Server, serving

# What is there, so that answers are seen that are no 404.
KNOWN = {"user": "alice", "group": "web", "robot": "ci", "role": "deployer", "rule": "pods"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def rejected(context: Any, response: Any, case: Any) -> bool | None:
    """What does not fit the document is refused; 413 is a refusal, too."""
    if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return None
    return negative_data_rejection(context, response, case)


def khod(data: Path, *words: str, given: str = "") -> str:
    """Run a command of the operator's; what it prints."""
    command = [str(KHOD), *words, "--data", str(data)]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A registry with some of everything."""
    home = tmp_path_factory.mktemp("api")
    data = home / "data"
    data.mkdir()
    khod(data, "users", "add", "root", "--admin", "--password-stdin", given="a long password")
    khod(data, "users", "add", "alice", "--password-stdin", given="a long password")
    khod(data, "groups", "add", "web")
    khod(data, "robots", "add", "ci")
    khod(data, "roles", "add", "deployer", "--actions", "pull,push")
    pods = ("--kubernetes", "team/app", "--issuer", "https://k8s.example.com", "--audience", "kho")
    khod(data, "trust", "add", "pods", "--robot", "ci", *pods)
    khod(data, "grants", "add", "user:alice", "deployer", "team/**")
    with serving(home, kind="khod") as server:
        yield server


@pytest.fixture(scope="module")
def admin(server: Server) -> dict[str, str]:
    """The header of an administrator."""
    secret = khod(server.data, "tokens", "create", "--user", "root", "--name", "fuzz")
    return {"Authorization": "Basic " + base64.b64encode(f"root:{secret}".encode()).decode()}


def operations() -> list[Any]:
    """Those of the document."""
    schema = schemathesis.openapi.from_dict(document(OPERATIONS))
    return [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


def parts_of(operation: Any) -> dict[str, str]:
    """Known things, for what only looks."""
    parts = operation.path.replace("{", " ").replace("}", " ").split()
    return {part: KNOWN[part] for part in parts if part in KNOWN and operation.method == "get"}


def send_everything(
    server: Server, mode: GenerationMode, headers: dict[str, str], examples: int
) -> None:
    """Send data of the mode to all operations."""
    session = requests.Session()
    checks = [*CHECKS, rejected] if mode is GenerationMode.NEGATIVE else CHECKS
    for operation in operations():
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
                base_url=f"http://{server.host}", session=session, headers=headers, checks=checks
            )

        with contextlib.suppress(Unsatisfiable):  # there is nothing to be wrong
            sent()


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_an_administrator_sends_anything(
    server: Server, admin: dict[str, str], mode: GenerationMode
) -> None:
    send_everything(server, mode, admin, 5)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_nobody_sends_anything(server: Server, mode: GenerationMode) -> None:
    send_everything(server, mode, {}, 3)
