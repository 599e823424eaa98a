"""The official OCI conformance suites: the main branch's, for 1.1 and dev, and v1.1.1."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from .clients import program
from .guarded import PASSWORDS, Guarded
from .servers import Server

# fewer passed checks than this, and the suite left out what it was to check
_LEAST_PASSED_1_1 = 690
_LEAST_PASSED_DEV = 790
_LEAST_PASSED_SIGNED_IN = 785
_LEAST_PASSED_1_1_1 = 60


def _suite(command: list[str | Path], env: Mapping[str, str], log: Path) -> int:
    """Run a suite with its output in a file; returns its status."""
    with log.open("wb") as out:
        ended = subprocess.run(
            [str(part) for part in command],
            env={**os.environ, **env},
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )
    return ended.returncode


@pytest.mark.parametrize(
    "version,least,skipped",
    [("1.1", _LEAST_PASSED_1_1, {"blob-post-cancel"}), ("dev", _LEAST_PASSED_DEV, set())],
)
def test_main_branch_program(
    version: str, least: int, skipped: set[str], registry: Server, tmp_path: Path
) -> None:
    _check_main_branch(version, least, skipped, {"OCI_REGISTRY": registry.host}, tmp_path)


def test_main_branch_program_with_a_password(http_door: Guarded, tmp_path: Path) -> None:
    assert http_door.ask("GET", "/v2/").status == 401
    signed_in = {
        "OCI_REGISTRY": http_door.host,
        "OCI_USERNAME": "mona",
        "OCI_PASSWORD": PASSWORDS["mona"],
    }
    # To mount from anywhere one must read everything; a token is for one repository.
    left_out = {"blob-mount-anonymous"}
    _check_main_branch("dev", _LEAST_PASSED_SIGNED_IN, left_out, signed_in, tmp_path)


def _check_main_branch(
    version: str, least: int, skipped: set[str], who: Mapping[str, str], tmp_path: Path
) -> None:
    settings = {
        **who,
        "OCI_TLS": "disabled",
        "OCI_REPO1": f"conformance-{version}/one",
        "OCI_REPO2": f"conformance-{version}/two",
        "OCI_VERSION": version,
        "OCI_RESULTS_DIR": str(tmp_path),
    }
    status = _suite([program("conformance-main")], settings, tmp_path / "log")
    results = tmp_path / "results.yaml"
    assert results.exists(), (tmp_path / "log").read_text()[-3000:]
    verdicts = _verdicts(results.read_text())
    checks = list(ET.parse(tmp_path / "junit.xml").iter("testcase"))
    failed = _failed(checks)
    assert not failed, "failed checks:\n" + "\n".join(failed)
    assert "Pass" in verdicts.values()
    assert set(verdicts.values()) <= {"Pass", "Skip", "Disabled"}, verdicts
    assert {name.rpartition("/")[2] for name in _names(checks, "skipped")} == skipped
    assert len(_names(checks, "passed")) >= least
    assert status == 0


def _verdicts(results: str) -> dict[str, str]:
    """What results.yaml says of each API and each kind of data."""
    told = results.partition("\napis:\n")[2]
    return dict(re.findall(r"^  ([^:\n]+): (\w+)$", told, re.MULTILINE))


def _names(checks: list[ET.Element], status: str) -> list[str]:
    return [check.get("name", "") for check in checks if check.get("status") == status]


def _failed(checks: list[ET.Element]) -> list[str]:
    """The checks that did not pass, with what was wrong."""
    wrong = [check for check in checks if check.get("status") not in {"passed", "skipped"}]
    said = [(check.findtext("system-out") or "")[:300] for check in wrong]
    return [f"{check.get('name')}: {text}" for check, text in zip(wrong, said, strict=True)]


def test_suite_of_v1_1_1(registry: Server, tmp_path: Path) -> None:
    tested = ("PULL", "PUSH", "CONTENT_DISCOVERY", "CONTENT_MANAGEMENT")
    settings = {
        "OCI_ROOT_URL": f"http://{registry.host}",
        "OCI_NAMESPACE": "conformance-1.1.1/one",
        "OCI_CROSSMOUNT_NAMESPACE": "conformance-1.1.1/two",
        "OCI_REPORT_DIR": str(tmp_path),
        **{f"OCI_TEST_{name}": "1" for name in tested},
    }
    status = _suite([program("conformance-1.1.1"), "-test.count=1"], settings, tmp_path / "log")
    log = re.sub(r"\x1b\[[0-9;]*m", "", (tmp_path / "log").read_text(errors="replace"))
    summary = re.search(r"(\d+) Passed \| (\d+) Failed", log)
    assert summary, log[-3000:]
    assert re.findall(r"^\s*\[FAIL\] .*$", log, re.MULTILINE) == []
    assert int(summary[2]) == 0
    assert int(summary[1]) >= _LEAST_PASSED_1_1_1
    assert status == 0
