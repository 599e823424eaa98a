"""The examples of docs/use/api.md, run by a shell as they stand there."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import text
from tests.interop.clients import program
from tests.interop.pages.content import Hand, layer
from tests.interop.servers import KHOD, serving

PAGE = "docs/use/api.md"
PASSWORD = "a long password"
EXAMPLES = text(PAGE).partition("\n## What holds everywhere\n")[0]
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", EXAMPLES, re.MULTILINE | re.DOTALL)
# What a terminal would be asked for, and another registry than that of the examples.
BEFORE = """
set -e
curl() {
  words=()
  for word; do case $word in alice | root) word=$word:$PASSWORD ;; esac; words+=("$word"); done
  "$CURL" "${words[@]}"
}
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry with an administrator, a user, and an image that the user may pull."""
    home = tmp_path_factory.mktemp("examples")
    data = home / "data"
    data.mkdir()
    for name, more in (("root", ("--admin",)), ("alice", ())):
        words = (KHOD, "users", "add", name, *more, "--password-stdin", "--data", data)
        subprocess.run(words, input=PASSWORD, text=True, check=True, capture_output=True)
    words = (KHOD, "grants", "add", "user:alice", "reader", "team/**", "--data", data)
    subprocess.run(words, check=True, capture_output=True)
    with serving(home, kind="khod") as server:
        hand = Hand(server.port, "root", PASSWORD)
        hand.image("team/app", "1.0", layer({"etc/hostname": b"x\n"}), config={})
        yield f"http://{server.host}"


def run(script: str, folder: Path) -> list[str]:
    """What the shell prints; nothing may fail."""
    env = {"CURL": str(program("curl")), "PASSWORD": PASSWORD, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["bash", "-c", BEFORE + script],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_every_example_works(url: str, tmp_path: Path) -> None:
    assert len(BLOCKS) == 4
    program("jq")
    script = "\n".join(f"{block}\necho; echo ---" for block in BLOCKS)
    assert "https://kho.example.com" in script
    said = "\n".join(run(script.replace("https://kho.example.com", url), tmp_path)).split("---")
    answers = [json.loads(one) for one in said[0].replace("}{", "}\n{").splitlines() if one]
    assert [one["anonymous"] for one in answers[:2]] == [True, False]
    assert answers[2]["items"][0]["name"] == "team/app"
    assert answers[4]["tags"] == ["1.0"]
    last = json.loads(said[1].replace("}{", "}\n{").splitlines()[-1])
    assert last["quick"]
    assert said[2].split() == ["team/app"]
    printed = re.findall(r"^```json\n(.*?)\n```$", EXAMPLES, re.MULTILINE | re.DOTALL)
    assert [said[3].strip()] == printed
