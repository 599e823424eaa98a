"""How histories are told, and what looks like a secret."""

import time

import pytest

from kho.oci.digest import Digest
from kho.oci.manifest import Descriptor
from kho.server.registry.contents import config
from kho.server.registry.contents.secrecy import MASK, masked, why
from kho.server.registry.contents.steps import join, lines, told

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "raw, command",
    [
        ('/bin/sh -c #(nop)  CMD ["bash"]', 'CMD ["bash"]'),
        ("/bin/sh -c #(nop) ADD file:1a in / ", "ADD file:1a in /"),
        ("/bin/sh -c apt-get update && make", "RUN apt-get update && make"),
        ("/bin/bash -o pipefail -c curl x | sh", "RUN curl x | sh"),
        ("|2 A=1 B=/bin/sh /bin/sh -c make all", "RUN make all"),
        ("|0 /bin/sh -c make", "RUN make"),
        ("RUN /bin/sh -c make # buildkit", "RUN make"),
        ("RUN |1 V=1 /bin/sh -c set -eux;\tmake # buildkit", "RUN set -eux;\tmake"),
        ("COPY . /app # buildkit", "COPY . /app"),
        ("ENV A=b", "ENV A=b"),
        ("cmd /S /C #(nop) USER me", "USER me"),
        ("cmd /S /C dir", "RUN dir"),
        ("bazel build ...", "bazel build ..."),
        (
            "# debian.sh --arch 'amd64' out/ 'bookworm'",
            "# debian.sh --arch 'amd64' out/ 'bookworm'",
        ),
        ("", ""),
    ],
)
def test_a_line_is_told_like_a_dockerfile(raw: str, command: str) -> None:
    assert told(raw) == command


def layer(number: int) -> Descriptor:
    return Descriptor("layer", "x/y", Digest.of(b"%d" % number), number)


def test_more_layers_than_lines() -> None:
    steps = join(lines([{"created_by": "a"}]), [layer(1), layer(3)], {}, None)
    assert [(one.command, one.layer and one.layer.share) for one in steps] == [
        ("a", 0.25),
        ("", 0.75),
    ]


def test_more_lines_than_layers() -> None:
    history = [{"created_by": "a"}, {"created_by": "b", "empty_layer": True}, {"created_by": "c"}]
    steps = join(lines(history), [layer(1)], {}, None)
    assert [one.layer is not None for one in steps] == [True, False, False]


@pytest.mark.parametrize("history", [None, 7, "x", [7, None], {}, [{"created_by": 7}]])
def test_a_history_that_is_none(history: object) -> None:
    steps = join(lines(history), [layer(1)], {}, None)
    assert [one.command for one in steps if one.layer] == [""]


@pytest.mark.parametrize(
    "name, value, reason",
    [
        ("GITHUB_TOKEN", "x", "name"),
        ("db_password", "x", "name"),
        ("MY_SECRET_THING", "x", "name"),
        ("API_KEY", "abc", "name"),
        ("PGPASSWORD", "abc", "name"),
        ("APIKEY", "abc", "name"),
        ("A", "AKIAIOSFODNN7EXAMPLE", "value"),
        ("A", JWT, "value"),
        ("A", "-----BEGIN RSA PRIVATE KEY-----\nMII", "value"),
        ("A", "postgres://me:hunter2@db/x", "value"),
        ("A", "ghp_" + "a" * 36, "value"),
        ("PATH", "/bin", ""),
        ("GPG_KEY", "A035C8C19219BA821ECEA86B64E628F8D684696D", ""),
        ("PUBLIC_KEY", "x", ""),
        ("KEYBOARD", "us", ""),
        ("MONKEY", "x", ""),
        ("API_KEY", "", ""),
        ("API_KEY", "$API_KEY", ""),
        ("USE_TOKEN", "true", ""),
        ("URL", "https://example.com/a@b", ""),
    ],
)
def test_what_looks_like_a_secret(name: str, value: str, reason: str) -> None:
    assert why(name, value) == reason


@pytest.mark.parametrize(
    "text, shown",
    [
        ("make TOKEN=abc all", f"make TOKEN={MASK} all"),
        ("x --password=abc y", f"x --password={MASK} y"),
        ('TOKEN="a b" x', f"TOKEN={MASK} x"),
        (f"curl -H {JWT}", f"curl -H {MASK}"),
        ("git clone https://me:pw@h/r", f"git clone https://{MASK}@h/r"),
        ("echo hunter22", f"echo {MASK}"),
        ("make VERSION=1.2 all", "make VERSION=1.2 all"),
    ],
)
def test_commands_are_masked(text: str, shown: str) -> None:
    assert masked(text, ["hunter22", "abc"[:1]]) == shown


@pytest.mark.parametrize("piece", ["eyJ", "a-", "://", "ghp_", "-----BEGIN PRIVATE KEY-----", "A="])
def test_no_text_takes_long(piece: str) -> None:
    text = piece * (config.LONGEST // len(piece))
    begin = time.process_time()
    masked(text)
    why("A", text)
    assert time.process_time() - begin < 5


def test_values_of_the_wrong_type_are_absent() -> None:
    run: dict[str, object] = {
        "Env": [7, "A=1"],
        "Cmd": "sh",
        "Labels": {"a": 7, "b": "c"},
        "ExposedPorts": ["80"],
    }
    found = config.shown({"config": run, "os": 7}, reveal=False)
    assert [(one.name, one.value) for one in found.env] == [("A", "1")]
    assert (found.cmd, found.ports, found.platform) == (("sh",), (), "")
    assert [one.name for one in found.labels] == ["b"]


def test_ports_are_in_order() -> None:
    run: dict[str, object] = {"ExposedPorts": {"8080/tcp": {}, "80/tcp": {}, "x": {}}}
    assert config.shown({"config": run}, reveal=False).ports == ("x", "80/tcp", "8080/tcp")
