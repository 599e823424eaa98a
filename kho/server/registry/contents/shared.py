"""Who else has the layers of an image, as far as the caller may see."""

from collections.abc import Iterable
from typing import Final

from kho.server.database.contents import sharing as rows
from kho.server.database.engine import Transaction
from kho.server.policy.sight import Sight
from kho.server.registry.contents.steps import Sharing

MOST: Final = 100
NAMES: Final = 10


async def sharings(
    tx: Transaction, sight: Sight, digests: list[str], own: tuple[int, int | None]
) -> dict[str, Sharing]:
    """By digest of a layer; `own` are the repository that is looked at, and the manifest.

    Of what many have, as many users are looked at as rows.WINDOW: the count is a lower bound then.
    """
    users = await rows.users(tx, digests)
    homes = await rows.homes(tx, {id_ for ids in users.values() for id_ in ids})
    repository_id, manifest_id = own
    names = await rows.seen(tx, sight, set(homes.values()) - {repository_id})
    return {
        digest: _sharing(homes, names, repository_id, _without(ids, manifest_id))
        for digest, ids in users.items()
    }


def _without(ids: Iterable[int], own: int | None) -> list[int]:
    return [id_ for id_ in ids if id_ != own]


def _sharing(homes: dict[int, int], names: dict[int, str], own: int, others: list[int]) -> Sharing:
    visible = [homes[id_] for id_ in others if homes.get(id_) == own or homes.get(id_) in names]
    elsewhere = {home for home in visible if home != own}
    return Sharing(
        images=min(len(visible), MOST),
        repositories=min(len(elsewhere), MOST),
        names=tuple(sorted(names[home] for home in elsewhere)[:NAMES]),
        # Whether there are others than those that were looked at would tell of hidden ones.
        more=len(visible) > MOST,
    )
