"""The search kept up to date, in the transaction that changes what a repository is found by.

rows ─► Source ─► as it was? done
                └► words, before and after ─► those that came are inserted, the others deleted
"""

import json
from collections.abc import Set as AbstractSet
from typing import Final

import sqlalchemy
from sqlalchemy import BigInteger, Integer, bindparam, cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert

from kho.server.database.constructs import Gathered, OneOf, entries, listed
from kho.server.database.engine import Transaction
from kho.server.database.schema import (
    images,
    manifests,
    readmes,
    repositories,
    search_documents,
    search_words,
    tags,
)
from kho.server.database.searching.search_document import (
    IMAGES,
    README,
    TAGS,
    VERSION,
    Image,
    packed,
    source_of,
    words_of,
)
from kho.server.database.statement import Statement

_repository = bindparam("repository_id", type_=BigInteger())
_LOCK: Final = Statement(
    select(repositories.c.id)
    .where(repositories.c.id == _repository)
    .with_for_update(key_share=True)
)
_newest = select(tags.c.name, tags.c.digest).where(tags.c.repository_id == _repository)
_newest = _newest.order_by(tags.c.updated_at.desc(), tags.c.name.desc())
# Written out: SQLite prepares a statement anew for each number that is bound to a LIMIT.
_names = _newest.with_only_columns(tags.c.name)  # an index has all of it
_shown = _names.limit(literal_column(str(TAGS))).subquery("shown")
_pointed = _newest.limit(literal_column(str(IMAGES))).subquery("pointed")
_head = func.substr(readmes.c.body, literal_column("1"), literal_column(str(4 * README)))
# One row for each image, and one without images: a statement costs more than what it repeats.
_SUBJECT: Final = Statement(
    select(
        repositories.c.name,
        repositories.c.description,
        select(_head).where(readmes.c.repository_id == _repository).scalar_subquery(),
        select(search_documents.c.source)
        .where(search_documents.c.repository_id == _repository)
        .scalar_subquery(),
        select(Gathered(_shown.c.name)).scalar_subquery(),
        sqlalchemy.exists().where(manifests.c.repository_id == _repository),
        manifests.c.artifact_type,
        images.c.kind,
        images.c.platforms,
        images.c.labels,
    )
    .select_from(
        repositories.outerjoin(_pointed, sqlalchemy.true())
        .outerjoin(
            manifests,
            (manifests.c.repository_id == _repository) & (manifests.c.digest == _pointed.c.digest),
        )
        .outerjoin(images, images.c.manifest_id == manifests.c.id)
    )
    .where(repositories.c.id == _repository)
    .order_by(manifests.c.id.desc())
)
_words = search_words.c
_document = insert(search_documents).values(repository_id=_repository, source=bindparam("source"))
_KEEP: Final = Statement(
    _document.on_conflict_do_update(
        index_elements=[search_documents.c.repository_id],
        set_={"source": _document.excluded.source},
    )
)
_WORDS: Final = Statement(
    select(_words.word, _words.field).where(_words.repository_id == _repository)
)
_DROP: Final = Statement(
    sqlalchemy.delete(search_words)
    .where(_words.repository_id == _repository)
    .where(OneOf(_words.word, "words"))
)
_new = entries("words")
_ADD: Final = Statement(
    sqlalchemy.insert(search_words).from_select(
        ["repository_id", "word", "field"],
        select(
            _repository,
            _new.c.first,
            cast(_new.c.second, Integer()),
        ),
    )
)
_OURS: Final = f'{{"version":{VERSION},'
_FORGET: Final = Statement(
    sqlalchemy.delete(search_documents).where(search_documents.c.repository_id == _repository)
)
_FORGET_WORDS: Final = Statement(
    sqlalchemy.delete(search_words).where(_words.repository_id == _repository)
)


async def lock(tx: Transaction, repository_id: int) -> None:
    """Be the only one who changes what it is found by; belongs to the end of a transaction."""
    if not tx.alone:
        await tx.one(_LOCK, repository_id=repository_id)


async def refresh(tx: Transaction, repository_id: int) -> None:
    """Let it be found by what its rows say now; one that holds no manifest is not found.

    This transaction has changed or locked the row of the repository before: so two pushes at once
    see each other's tags.
    """
    rows = await tx.all(_SUBJECT, repository_id=repository_id)
    if not rows:
        return
    name, description, readme, before, newest, holds, *_ = rows[0]
    if not holds:
        if before is not None:
            await remove(tx, repository_id)
        return
    found = [Image(*row) for row in dict.fromkeys(row[6:] for row in rows)]
    source = source_of(description, readme, json.loads(newest or "[]"), found)
    text = packed(source)
    if text == before:
        return
    await tx.run(_KEEP, repository_id=repository_id, source=text)
    after = words_of(name, text).items()
    stored = await _stored(tx, repository_id, name, before) if before else {}.items()
    gone = [word for word, _ in stored - after]
    new = [(word, str(field)) for word, field in after - stored]
    if gone:
        await tx.run(_DROP, repository_id=repository_id, words=listed(gone))
    if new:
        await tx.run(_ADD, repository_id=repository_id, words=json.dumps(new))


async def _stored(
    tx: Transaction, repository_id: int, name: str, before: str
) -> AbstractSet[tuple[str, int]]:
    """The words that the rows hold: those of the text before, if this program has made them."""
    if before.startswith(_OURS):
        return words_of(name, before).items()
    return {(word, field) for word, field in await tx.all(_WORDS, repository_id=repository_id)}


async def remove(tx: Transaction, repository_id: int) -> None:
    """Let it be found no longer."""
    await tx.run(_FORGET, repository_id=repository_id)
    await tx.run(_FORGET_WORDS, repository_id=repository_id)
