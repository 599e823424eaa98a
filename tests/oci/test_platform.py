"""Platforms as people, kernels and indexes write them."""

import pytest

from kho.oci.platform import Platform, PlatformInvalid, best


@pytest.mark.parametrize(
    "text, shown",
    [
        ("linux/amd64", "linux/amd64"),
        ("amd64", "linux/amd64"),
        ("x86_64", "linux/amd64"),
        ("linux/x86_64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/arm64/v8", "linux/arm64"),
        ("Linux/AARCH64", "linux/arm64"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("macos/arm64", "darwin/arm64"),
        ("windows/amd64", "windows/amd64"),
        ("linux/riscv64", "linux/riscv64"),
    ],
)
def test_what_is_read_and_shown(text: str, shown: str) -> None:
    assert str(Platform.parse(text)) == shown
    assert Platform.parse(shown) == Platform.parse(text)


@pytest.mark.parametrize(
    "text", ["", "/", "linux/", "linux/arm/v7/x", "lin ux/arm", "a\n/b", "é/b"]
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(PlatformInvalid, match="expected os/architecture"):
        Platform.parse(text)


@pytest.mark.parametrize(
    "wanted, offered, position",
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], 1),
        ("linux/arm64", ["linux/arm/v7", "linux/amd64"], None),
        ("linux/arm/v7", ["linux/arm/v6", "linux/arm/v5"], 0),
        ("linux/arm/v7", ["linux/arm/v6", "linux/arm/v7"], 1),
        ("linux/arm/v6", ["linux/arm/v7"], None),
        ("linux/arm", ["linux/arm/v7"], 0),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], 1),
        ("linux/amd64", ["linux/amd64/v2"], None),
        ("linux/amd64", ["windows/amd64"], None),
        ("linux/amd64", ["linux/amd64", "linux/amd64"], 0),
        ("linux/arm64", ["linux/arm64/v9"], None),
        ("linux/mips/odd", ["linux/mips", "linux/mips/odd"], 1),
    ],
)
def test_what_runs_best(wanted: str, offered: list[str], position: int | None) -> None:
    assert best(Platform.parse(wanted), map(Platform.parse, offered)) == position


def test_fields_of_a_descriptor() -> None:
    fields = {"os": "windows", "architecture": "amd64", "os.version": "10.0.17763.1", "x": 1}
    found = Platform.of(fields)
    assert found.fields() == {
        "os": "windows",
        "architecture": "amd64",
        "os.version": "10.0.17763.1",
    }
    assert Platform.of({"os": 3}) == Platform("", "")
    assert found.rank(Platform("windows", "amd64", os_version="10.0.20348.1")) is None


def test_this_machine() -> None:
    assert Platform.local().os == "linux"
