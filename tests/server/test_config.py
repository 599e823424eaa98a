"""Settings: precedence, every mistake at once, sources, secrets, and the page that lists them."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from kho.server.config import ConfigError, Problem, changed, describe, load, settings_page
from kho.server.setting import Address
from kho.server.settings import SETTINGS, Config, value_of

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def problems(
    flags: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None
) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load(flags or {}, environ or {})
    return caught.value.problems


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kho.toml"


def test_nothing_given_is_all_defaults() -> None:
    config = load({}, {})
    assert config == Config()
    assert str(config.listen) == "127.0.0.1:5000"
    assert {row.source for row in describe(config)} == {"default"}


def test_flags_over_environment_over_file_over_defaults(file: Path) -> None:
    file.write_text('listen = "[::1]:1"\nworkers = 1\ndata = "a"\n[http]\nidle_seconds = 5\n')
    environ = {"KHO_LISTEN": "127.0.0.1:2", "KHO_WORKERS": "2"}
    config = load({"config": file, "workers": "3", "data": None}, environ)
    assert config.listen == Address("127.0.0.1", 2)
    assert (config.workers, config.data, config.http.idle_seconds) == (3, Path("a"), 5.0)
    rows = {row.key: row.source for row in describe(config)}
    assert rows["workers"] == "flag --workers"
    assert rows["listen"] == "environment KHO_LISTEN"
    assert rows["data"] == rows["http.idle_seconds"] == f"file {file}"
    assert rows["http.drain_seconds"] == "default"


def test_the_file_may_come_from_the_environment(file: Path) -> None:
    file.write_text("workers = 7\n")
    assert load({}, {"KHO_CONFIG": str(file)}).workers == 7


@pytest.mark.parametrize(
    "key, text, expected",
    [
        ("limits.manifest_bytes", "8 MiB", 8 * 2**20),
        ("limits.manifest_bytes", "1048576", 2**20),
        ("limits.blob_bytes", "10GiB", 10 * 2**30),
        ("http.drain_seconds", "15m", 900.0),
        ("http.drain_seconds", "0", 0.0),
        ("http.idle_seconds", "250ms", 0.25),
        ("uploads.expire_hours", "7d", 168.0),
        ("uploads.expire_hours", "36", 36.0),
        ("uploads.expire_hours", "36s", 0.01),
        ("log.access", "off", False),
        ("log.access", "TRUE", True),
        ("listen", "[::]:0", Address("::", 0)),
        ("listen", "localhost:80", Address("localhost", 80)),
        ("storage", "file:///srv/kho%20blobs", "file:///srv/kho%20blobs"),
        (
            "database",
            "sqlite:////srv/d\u1eef li\u1ec7u/kho.db",
            "sqlite:////srv/d\u1eef li\u1ec7u/kho.db",
        ),
        ("database", "postgresql://u:p@[::1]:5432/n", "postgresql://u:p@[::1]:5432/n"),
        ("database", "postgresql:///n?host=/run/pg", "postgresql:///n?host=/run/pg"),
    ],
)
def test_accepted(key: str, text: str, expected: object) -> None:
    config = load({}, {SETTINGS[key].variable: text})
    assert value_of(config, key) == expected


@pytest.mark.parametrize(
    "key, value",
    [
        ("listen", "5000"),
        ("listen", ":5000"),
        ("listen", "::1:5000"),
        ("listen", "127.0.0.1:65536"),
        ("listen", "127.0.0.1:5000\n"),
        ("listen", "127.0.0.1:\u0665"),
        ("workers", "-1"),
        ("workers", "1_0"),
        ("workers", "+1"),
        ("workers", " 1"),
        ("workers", True),
        ("workers", 1.0),
        ("workers", 1025),
        ("http.idle_seconds", "0"),
        ("http.idle_seconds", "nan"),
        ("http.idle_seconds", float("nan")),
        ("http.idle_seconds", float("inf")),
        ("http.idle_seconds", "1e3"),
        ("http.idle_seconds", "5 fortnights"),
        ("limits.manifest_bytes", "4 MB"),
        ("limits.manifest_bytes", "100"),
        ("limits.blob_bytes", -1),
        ("log.level", "INFO"),
        ("log.format", "xml"),
        ("log.access", 1),
        ("log.access", "maybe"),
        ("storage", "s3://bucket"),
        ("storage", "file://host/folder"),
        ("storage", "file:///"),
        ("storage", "file:///%00"),
        ("storage", "memory://x"),
        ("storage", "/srv/blobs"),
        ("database", "mysql://u@h/d"),
        ("database", "sqlite://kho.db"),
        ("database", "postgresql://u@h:port/d"),
        ("database", "postgresql://u@h :1/d"),
        ("data", ""),
        ("data", "a\x00b"),
        ("data", 5),
    ],
)
def test_refused(key: str, value: object) -> None:
    found = problems({key: value})
    assert [(one.key, one.source) for one in found] == [(key, "flag --" + re.sub("[._]", "-", key))]
    assert SETTINGS[key].kind.allowed in found[0].text


def test_all_mistakes_in_one_message(file: Path, tmp_path: Path) -> None:
    file.write_text(
        'listen = 5\nworkrs = 2\nlog = "debug"\n[http]\nidle_second = 3\n[htp]\ndrain_seconds = 1\n'
    )
    environ = {
        "KHO_LOG_LEVEL": "loud",
        "KHO_HTTP_DRAIN_SECOND": "3",
        "KHO_DATABASE": "sqlite:////a",
        "KHO_DATABASE_FILE": "/run/secret",
        "KHO_STORAGE_FILE": str(tmp_path / "absent"),
        "KHO_COFFEE_POT": "1",
    }
    with pytest.raises(ConfigError) as caught:
        load({"config": file, "workers": "many"}, environ)
    text = str(caught.value)
    assert text.startswith("11 mistakes in the configuration:\n")
    for part in (
        f"  listen (file {file}): 5 is not allowed; allowed is HOST:PORT",
        f"  workrs (file {file}): no such setting; the nearest is workers",
        f"  log (file {file}): allowed is a table: [log]",
        "  http.idle_second (file",
        "the nearest is http.idle_seconds",
        "  htp.drain_seconds (file",
        "  log.level (environment KHO_LOG_LEVEL): 'loud' is not allowed; allowed is one of",
        "  KHO_HTTP_DRAIN_SECOND (environment): no such setting; the nearest is KHO_HTTP_",
        "  database (environment KHO_DATABASE_FILE): KHO_DATABASE is set too",
        "  storage (environment KHO_STORAGE_FILE): '",
        "cannot be read: No such file",
        "  KHO_COFFEE_POT (environment): no such setting",
        "  workers (flag --workers): 'many' is not allowed; allowed is a whole number from 0",
    ):
        assert part in text
    assert text.count("\n") == 11


@pytest.mark.parametrize(
    "content, text",
    [
        (b"a = ", "is not TOML (at "),
        (b"\xff", "is not UTF-8"),
        (b"a = " + b"[" * 100_000, "is not TOML"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_mistake_among_others(
    content: bytes, text: str, file: Path
) -> None:
    file.write_bytes(content)
    found = problems({"config": file}, {"KHO_WORKERS": "x"})
    assert [one.key for one in found] == ["config", "workers"]
    assert found[0].text.startswith(text)


def test_a_missing_file_is_a_mistake(file: Path) -> None:
    assert problems({"config": file})[0].text == "cannot be read: No such file or directory"


def test_control_and_bidirectional_characters_are_escaped(file: Path) -> None:
    file.write_text('"a\\u001b[31m\\u202e" = 1\n')
    with pytest.raises(ConfigError) as caught:
        load({"config": file}, {})
    assert "a\\x1b[31m\\u202e" in str(caught.value)


def test_what_kubernetes_puts_beside_a_service_is_no_setting() -> None:
    environ = {
        "KHO_PORT": "tcp://10.0.0.1:5000",
        "KHO_PORT_5000_TCP_ADDR": "10.0.0.1",
        "KHO_STORE": "/srv/images",
        "KHO_TOKEN": "of the client",
        "KHO_SERVICE_HOST": "10.0.0.1",
        "KHO_SERVICE_PORT": "5000",
        "KHO_SERVICE_PORT_REGISTRY": "5000",
        "KHO_REGISTRY_SERVICE_HOST": "10.0.0.1",
    }
    assert load({}, environ) == Config()


def test_an_empty_variable_is_not_set() -> None:
    assert load({}, {"KHO_WORKERS": "", "KHO_CONFIG": ""}) == Config()


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://u:hunter2@h/d\n")
    config = load({}, {"KHO_DATABASE_FILE": str(secret)})
    assert config.database_url == "postgresql://u:hunter2@h/d"
    assert config.sources["database"] == "environment KHO_DATABASE_FILE"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:canary@host/name",
        "postgresql://user:ca:canary@host/name?sslmode=verify-full",
        "postgresql://user:ca@canary@host/name",
        "postgresql://host/name?password=canary&user=a",
    ],
)
def test_w4_secrets_are_masked(url: str) -> None:
    shown = str(describe(load({}, {"KHO_DATABASE": url})))
    assert "canary" not in shown
    assert "***" in shown


@pytest.mark.parametrize("password", ["canary", "ca/canary", "ca?canary", "ca#canary", "@canary"])
def test_w4_mistakes_do_not_show_secrets(password: str) -> None:
    url = f"mysql://user:{password}@host/name"
    names = ("KHO_DATABASE", "KHO_STORAGE", "KHO_LISTEN", "KHO_LOG_LEVEL")
    found = problems({}, dict.fromkeys(names, url))
    assert len(found) == 4
    assert "canary" not in "".join(map(str, found))


def test_memory_is_not_shared_by_workers() -> None:
    assert load({"storage": "memory://"}, {}).worker_count == 1
    assert load({"storage": "memory://", "workers": 1}, {}).worker_count == 1
    assert problems({"storage": "memory://", "workers": 2})[0].key == "workers"


def test_one_worker_per_core() -> None:
    assert load({}, {}).worker_count >= 1
    assert load({"workers": 5}, {}).worker_count == 5


def test_default_urls_lie_under_the_data_folder(tmp_path: Path) -> None:
    config = load({"data": str(tmp_path / "a b")}, {})
    assert config.storage_url == f"file://{tmp_path}/a%20b"
    assert config.database_url == f"sqlite:///{tmp_path}/a b/kho.db"


def test_the_tree_is_frozen_and_travels() -> None:
    config = load({"workers": 3}, {})
    assert pickle.loads(pickle.dumps(config)) == config
    with pytest.raises(AttributeError):
        config.http.idle_seconds = 1.0  # type: ignore[misc]


def test_changed_names_the_settings_that_differ() -> None:
    new = load({"workers": 3, "log.level": "debug"}, {})
    assert [(one.key, one.restart) for one in changed(Config(), new)] == [
        ("workers", True),
        ("log.level", False),
    ]


def test_every_setting_is_whole() -> None:
    for one in SETTINGS.values():
        assert one.help.endswith("."), one.key
        assert one.kind.parse(one.kind.show(one.default)) == one.default, one.key


def test_the_example_of_the_page_is_the_defaults(file: Path) -> None:
    file.write_text(settings_page().split("```toml")[1].split("```")[0])
    config = load({"config": file}, {})
    assert config == Config()
    assert set(config.sources) == set(SETTINGS)


def test_the_page_in_docs_is_the_one_that_the_program_prints() -> None:
    assert DOCS.read_text(encoding="utf-8") == settings_page(), (
        "khod config docs > docs/settings.md"
    )
