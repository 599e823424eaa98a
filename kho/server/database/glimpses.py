"""What a list shows of each repository beside its row, as the search has gathered it."""

from typing import Final

from sqlalchemy import select

from kho.server.database.constructs import OneOf, listed
from kho.server.database.engine import Transaction
from kho.server.database.schema import repositories, search_documents
from kho.server.database.statement import Statement
from kho.server.policy.patterns import sort_key

_SOURCES: Final = Statement(
    select(repositories.c.name, search_documents.c.source)
    .join(search_documents, search_documents.c.repository_id == repositories.c.id)
    .where(OneOf(repositories.c.sort_key, "keys"))
)


async def sources(tx: Transaction, names: list[str]) -> dict[str, str]:
    """The JSON text of `search_document.Source` by name, of those that have one."""
    rows = await tx.all(_SOURCES, keys=listed(map(sort_key, names)))
    return {row[0]: row[1] for row in rows}
