"""A network of its own, where the clouds have their true names and addresses: https, port 443.

unshare ─► loopback alone ─► /etc/hosts with every cloud's names ─► khod, and the clouds before it
kho and other clients are started inside it by `nsenter`. Needs root.

    python -m tests.clouds.world FOLDER          writes FOLDER/ready when everything answers
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.interop.processes import daemon
from tests.interop.servers import serving

from .amazon import Ecr, EcrPublic
from .azure import Azure
from .github import Github
from .google import Google
from .hub import Hub
from .sky import sky
from .upstream import Upstream

ROOT = Path(__file__).parents[2]
KINDS = (Ecr, EcrPublic, Google, Azure, Hub, Github)
_ENTER = 'ip link set lo up && mount --bind "$0" /etc/hosts && exec "$@"'


@dataclass(frozen=True, slots=True)
class Account:
    """How a user comes into one cloud, and where his image is."""

    user: str
    secret: str
    host: str
    reference: str


@dataclass(frozen=True, slots=True)
class World:
    """The network, by the process that holds it."""

    pid: int
    ca: Path
    accounts: dict[str, Account]

    @property
    def inside(self) -> tuple[str, ...]:
        """What a command begins with, to run in there."""
        return ("nsenter", "--target", str(self.pid), "--net", "--mount", "--wd=/")


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    """Run all of it."""
    hosts = folder / "hosts"
    names = [host for kind in KINDS for host in kind(Upstream("")).hosts]
    hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *names)))
    ready = folder / "ready"
    command: list[str | Path] = ["unshare", "--net", "--mount", "sh", "-c", _ENTER, hosts]
    command += [sys.executable, "-m", "tests.clouds.world", folder]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with daemon(command, folder / "world.log", ready.exists, env) as pid:
        told = json.loads(ready.read_text())
        accounts = {name: Account(**one) for name, one in told.items()}
        yield World(pid, folder / "clouds.pem", accounts)


async def main(folder: Path) -> None:
    """Serve until the end."""
    with serving(folder / "khod") as khod:
        async with sky(f"http://{khod.host}", folder, 443) as found:
            accounts = {
                name: {
                    "user": shape.user,
                    "secret": shape.secret,
                    "host": shape.reference.partition("/")[0],
                    "reference": shape.reference,
                }
                for name, shape in found.shapes.items()
            }
            part = folder / "ready.part"
            part.write_text(json.dumps(accounts))
            part.rename(folder / "ready")
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
