"""A process of its own that migrates, or that moves one tag to and fro: `worker URL TURNS`."""

import asyncio
import sys

from kho.server.database import repositories, tags
from kho.server.database.engine import Transaction
from kho.server.database.open import migrate, open_database

from .samples import digest, manifest, put_manifest


async def _turn(tx: Transaction, actor: str, turn: int) -> None:
    await put_manifest(tx, "a", manifest(turn % 2))
    repository_id = await repositories.ensure(tx, "a")
    await tags.point(tx, repository_id, "t", digest(turn % 2), actor)
    await put_manifest(tx, f"own/{actor}-{turn}", manifest(turn))


async def _work(url: str, actor: str, turns: int) -> None:
    database = await open_database(url)
    for turn in range(turns):
        await database.write(_turn, actor, turn)
    await database.close()


def main() -> None:
    """Announce itself, wait for the word, then migrate and take the turns."""
    url, actor, turns = sys.argv[1:]
    print("ready", flush=True)
    sys.stdin.readline()
    migrate(url)
    asyncio.run(_work(url, actor, int(turns)))


if __name__ == "__main__":
    main()
