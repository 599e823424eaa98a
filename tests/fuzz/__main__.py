"""`python -m tests.fuzz [--seconds 60] [TARGET ...]`: look for inputs that break a property.

Each target runs in a process of its own, which libFuzzer ends; what was found is printed as a line
for the corpus, and the exit status is 1.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.fuzz import corpus
from tests.fuzz.budget import timed

LONGEST = 4096
# Code that atheris watches is slower.
WATCHED = 15.0
HUNG_SECONDS = 30


def main() -> int:
    """Run the targets one by one."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        fuzz(given.targets[0], given.seconds, given.inside)
        return 0
    unknown = set(given.targets) - set(corpus.targets())
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    found = [one for one in given.targets or corpus.targets() if not survives(one, given.seconds)]
    print(f"broken: {', '.join(found)}" if found else "nothing found", flush=True)
    return 1 if found else 0


def survives(target: str, seconds: int) -> bool:
    """Search for a while; print what was found."""
    with tempfile.TemporaryDirectory(prefix=f"kho-fuzz-{target}-") as folder:
        seeds = Path(folder, "seeds")
        seeds.mkdir()
        for number, content in enumerate(corpus.kept(target)):
            (seeds / str(number)).write_bytes(content)
        command = [sys.executable, "-m", "tests.fuzz", target, "--inside", folder]
        command += ["--seconds", str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [line for line in done.stderr.splitlines() if re.match(r"#\d", line)]
        print(f"{target:14} {lines[-1] if lines else 'did not start'}", flush=True)
        broken = [path.read_bytes() for path in Path(folder).glob("found-*")]
        for content in broken:
            print(f"    {corpus.written(content)}")
        if done.returncode:
            print(reason(done.stdout + done.stderr), flush=True)
        return done.returncode == 0


def reason(output: str) -> str:
    """What a run said of its end, without libFuzzer's talk."""
    talk = re.compile(r"#\d|INFO|\[INFO|WARNING|MS: |0x|artifact|Base64")
    lines = [line for line in output.splitlines() if line.strip() and not talk.match(line)]
    return "\n".join(f"    {line}" for line in lines[-30:])


def fuzz(target: str, seconds: int, folder: str) -> None:
    """In a process of its own: hand over to libFuzzer, which does not return."""
    atheris: Any = import_module("atheris")
    # Its hook for expressions is left out: those then lack arguments that are used here.
    atheris.enabled_hooks.add("str")
    with atheris.instrument_imports(include=["kho", "tests.fuzz"]):
        check = import_module(f"tests.fuzz.fuzz_{target}").check
    arguments = [
        target,
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-timeout={HUNG_SECONDS}",
        "-len_control=10",
        f"-artifact_prefix={folder}/found-",
        f"{folder}/seeds",
    ]
    atheris.Setup(arguments, lambda data: timed(check, data, WATCHED))
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
