"""config.yml of registry:2: mistakes, bombs, and whatever else may stand in a file."""

import contextlib
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kho.server.config import ConfigError, load
from tests.server.registry_two import mistakes, read


@pytest.mark.parametrize(
    "text, named",
    [
        ("", "registry-config (file /config.yml): allowed is a map that begins with version: 0.1"),
        ("[]", "allowed is a map"),
        ("http: {addr: ':1'}", "version (file /config.yml): allowed is 0.1"),
        ("version: 0.2", "version (file /config.yml): allowed is 0.1"),
        ("version: [0.1]", "version (file /config.yml): allowed is 0.1"),
        ("version: 0.1\nhttp: {", "is not YAML (at line 2, column 8)"),
        ("version: 0.1\nhttp:\n\taddr: x", "is not YAML (at line 3, column 1)"),
        ("version: 0.1\nhttp: c4n4ry: c4n4ry", "is not YAML (at line 2, column 13)"),
        ("version: 0.1\nlog: {}\nlog: {}", "has a key twice (at line 3)"),
        ("version: 0.1\n? [a, b]\n: c", "has a key that is not text (at line 2)"),
        ("version: 0.1\n--- {}\n", "is not YAML"),
        ("version: 0.1\nx: &a {}\nlog:\n  <<: *a", "merges keys with <<"),
        ("version: 0.1\nhttp: *gone", "is not YAML (at line 2"),
        ("version: 0.1\nhttp: true", "http"),
        ("version: 0.1\nx: " + "[" * 100, "is nested deeper than 24 levels"),
        ("version: 0.1\nx: " + "a" * 70_000, "is longer than 65536 characters"),
        ("version: 0.1\nx: \0", "is not YAML"),
        ('version: 0.1\nx: "\\UFFFFFFFF"', "is not YAML"),
        (
            'version: 0.1\nstorage: {filesystem: {rootdirectory: "/\\uD800"}}',
            "storage.filesystem.rootdirectory (file /config.yml): allowed is text that can be",
        ),
    ],
)
def test_mistakes_in_the_file(text: str, named: str, tmp_path: Path) -> None:
    if named == "http":
        assert read(text, tmp_path).warnings == ("no settings of registry:2, ignored: http",)
        return
    (found,) = mistakes(text, tmp_path)
    assert named in found
    assert "c4n4ry" not in found


def test_a_file_that_is_not_there_or_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory"):
        load({"registry_config": str(tmp_path / "gone")}, {})
    with pytest.raises(ConfigError, match="Is a directory"):
        load({}, {"REGISTRY_CONFIGURATION_PATH": str(tmp_path)})
    with pytest.raises(ConfigError, match="is not UTF-8"):
        read(b"version: 0.1\nx: \xff", tmp_path)


def test_a_bomb_of_aliases_is_told_quickly(tmp_path: Path) -> None:
    lines = ["version: 0.1", "a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]
    started = time.monotonic()
    (found,) = mistakes("\n".join(lines), tmp_path)
    assert "grows too large by its aliases" in found
    assert "recursive" not in mistakes("version: 0.1\na: &a [*a]", tmp_path)
    assert time.monotonic() - started < 10


def test_an_alias_is_a_copy(tmp_path: Path) -> None:
    config = read("version: 0.1\nx: &place localhost:7\nhttp: {addr: *place}\n", tmp_path)
    assert config.listen.port == 7


# fmt: off
PARTS = (
    "HTTP", "TLS", "ADDR", "CLIENTCAS", "0", "1", "AUTH", "HTPASSWD", "TOKEN", "REALM", "PATH",
    "STORAGE",
    "FILESYSTEM", "ROOTDIRECTORY", "DELETE", "ENABLED", "MAINTENANCE", "READONLY", "CATALOG", "LOG",
    "MAXENTRIES", "LEVEL", "PROXY", "REMOTEURL", "X",
)
# fmt: on
PATHS = st.lists(st.sampled_from(PARTS) | st.text(max_size=3), max_size=5)
ODD = (
    "",
    "htpasswd",
    "inmemory",
    "{a: b}",
    "[a, b]",
    "{}",
    "[]",
    "&a [*a]",
    "!!python/none x",
    "1",
)
ESCAPES = ('"\\UFFFFFFFF"', '"\\uD800"', '"\\0"', "!<%> x", "%YAML 9.9", "? ", "- - -", "<<: *a")
TEXTS = (
    st.text(max_size=30)
    | st.sampled_from(ODD + ESCAPES)
    | st.text("&*{}[]:,?!%@-#|>\"'\\ \naA1~<", max_size=20)
)
ENVIRONMENTS = st.dictionaries(PATHS.map(lambda parts: "REGISTRY_" + "_".join(parts)), TEXTS)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([part.lower() for part in PARTS])
            | st.text(st.characters(), max_size=3),
            inner,
        )
    ),
    max_leaves=12,
)
FILES = (
    st.binary()
    | TEXTS.map(lambda text: f"version: 0.1\nhttp: {text}\n".encode())
    | TEXTS.map(lambda text: text.encode())
    | TREES.map(lambda tree: json.dumps(tree).encode())
    | st.dictionaries(st.sampled_from(("http", "auth", "storage", "log", "tags")), TREES).map(
        lambda tree: json.dumps({"version": "0.1", **tree}).encode()
    )
)


@given(ENVIRONMENTS, FILES)
def test_whatever_is_given_only_mistakes_are_raised(
    tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str], content: bytes
) -> None:
    with contextlib.suppress(ConfigError):
        config = read(content, tmp_path_factory.getbasetemp(), **environ)
        assert all(one.isprintable() for one in config.warnings)
