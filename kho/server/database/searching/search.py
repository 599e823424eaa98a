"""What the search asks of the rows: lists of ids, each bounded; then what it shows of them.

No statement's work depends on how many repositories there are, nor on how many match.
"""

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    bindparam,
    exists,
    func,
    literal_column,
    select,
)

from kho.server.database.constructs import Gathered, OneOfNumbers
from kho.server.database.engine import Row, Transaction
from kho.server.database.schema import (
    manifests,
    repositories,
    repository_blobs,
    search_documents,
    search_words,
)
from kho.server.database.searching.search_document import Field
from kho.server.database.searching.words import HIGHEST
from kho.server.database.sight import Seen
from kho.server.database.statement import Statement
from kho.server.policy.sight import Sight

MISSING: Final = 9  # instead of a field: the repository has no such word

_table = repositories.c
_words = search_words.c
_limit = bindparam("limit", type_=Integer())


def _gathered(query: Select[tuple[int]]) -> Statement:
    """The ids of a question, in one row."""
    ids = query.subquery()
    return Statement(select(Gathered(next(iter(ids.c)))))


_BY_WORD: Final = _gathered(
    select(_words.repository_id)
    .where(_words.field == bindparam("field"))
    .where(_words.word >= bindparam("low"))
    .where(_words.word <= bindparam("high"))
    .order_by(_words.word)
    .limit(_limit)
)
_BY_NAME: Final = _gathered(
    select(_table.id)
    .where(_table.sort_key >= bindparam("low"))
    .where(_table.sort_key < bindparam("high"))
    .order_by(_table.sort_key)
    .limit(_limit)
)
_PUBLIC: Final = _gathered(
    select(_table.id).where(_table.public == 1).order_by(_table.sort_key).limit(_limit)
)
_RECENT: Final = _gathered(
    select(_table.id)
    .where(_table.pushed_at > bindparam("after"))
    .order_by(_table.pushed_at.desc())
    .limit(_limit)
)
_POPULAR: Final = _gathered(
    select(_table.id).order_by(_table.pulls.desc(), _table.sort_key.desc()).limit(_limit)
)
_NEXT: Final = _gathered(
    select(_table.id).where(_table.id > bindparam("after")).order_by(_table.id).limit(_limit)
)
_MANIFESTS: Final = Statement(
    select(manifests.c.repository_id, manifests.c.digest)
    .where(manifests.c.digest >= bindparam("low"))
    .where(manifests.c.digest <= bindparam("high"))
    .order_by(manifests.c.digest)
    .limit(_limit)
)
_BLOBS: Final = Statement(
    select(repository_blobs.c.repository_id, repository_blobs.c.digest)
    .where(repository_blobs.c.digest >= bindparam("low"))
    .where(repository_blobs.c.digest <= bindparam("high"))
    .order_by(repository_blobs.c.digest)
    .limit(_limit)
)
_SHOWN: Final = Seen(
    select(
        _table.id,
        _table.name,
        _table.description,
        _table.pulls,
        _table.pushed_at,
        _table.size,
        _table.tag_count,
        _table.public,
        search_documents.c.source,
    )
    .join(search_documents, search_documents.c.repository_id == _table.id)
    .where(OneOfNumbers(_table.id, "ids"))
)


class Word(NamedTuple):
    """A range of words: one, or all that begin with it."""

    low: str
    high: str

    @classmethod
    def exactly(cls, text: str) -> "Word":
        """Only that word."""
        return cls(text, text)

    @classmethod
    def beginning(cls, text: str) -> "Word":
        """The word, and all that go on from it."""
        return cls(text, text + HIGHEST)


class Candidate(NamedTuple):
    """A repository that the caller may see, with the best field of each word that was asked."""

    id: int
    name: str
    pulls: int
    fields: tuple[int, ...]


class Found(NamedTuple):
    """What is shown of a repository; times in milliseconds, sizes in bytes."""

    name: str
    description: str
    pulls: int
    pushed_at: int
    size: int
    tag_count: int
    public: int  # 0 or 1
    source: str


async def having(tx: Transaction, field: Field, word: Word, limit: int) -> list[int]:
    """Repositories with the word in the field; one may come more than once."""
    low, high = word
    return _ids(await tx.one(_BY_WORD, field=int(field), low=low, high=high, limit=limit))


async def named(tx: Transaction, low: str, high: str, limit: int) -> list[int]:
    """Repositories with sort keys from low to before high."""
    return _ids(await tx.one(_BY_NAME, low=low, high=high, limit=limit))


async def public(tx: Transaction, limit: int) -> list[int]:
    """Repositories that anyone may pull."""
    return _ids(await tx.one(_PUBLIC, limit=limit))


async def recent(tx: Transaction, after: int, limit: int) -> list[int]:
    """Repositories that were pushed to after a moment, the newest first."""
    return _ids(await tx.one(_RECENT, after=after, limit=limit))


async def popular(tx: Transaction, limit: int) -> list[int]:
    """Those that are pulled the most."""
    return _ids(await tx.one(_POPULAR, limit=limit))


async def following(tx: Transaction, after: int, limit: int) -> list[int]:
    """Any repositories with higher ids, in order."""
    return _ids(await tx.one(_NEXT, after=after, limit=limit))


async def holding(tx: Transaction, prefix: str, limit: int) -> tuple[dict[int, str], bool]:
    """Repositories with a manifest or blob of such a digest, the first of these; are these all.

    So many manifests and so many blobs are looked at.
    """
    low, high = Word.beginning(prefix)
    found: dict[int, str] = {}
    whole = True
    for statement in (_MANIFESTS, _BLOBS):
        rows = await tx.all(statement, low=low, high=high, limit=limit + 1)
        whole = whole and len(rows) <= limit
        for number, digest in rows[:limit]:
            found.setdefault(number, digest)
    return found, whole


async def candidates(
    tx: Transaction,
    sight: Sight,
    ids: Iterable[int],
    words: Sequence[Word],
    facets: Sequence[str],
    *,
    is_public: bool | None,
    pushed_after: int | None,
) -> list[Candidate]:
    """Which of these the caller may see, that have all the words and facets."""
    values: dict[str, str | int] = {"ids": json.dumps(list(ids))}
    if is_public is not None:
        values["public"] = int(is_public)
    if pushed_after is not None:
        values["pushed_after"] = pushed_after
    for number, (low, high) in enumerate(words):
        values[f"low{number}"], values[f"high{number}"] = low, high
    values |= {f"facet{number}": facet for number, facet in enumerate(facets)}
    asked = _asked(len(words), len(facets), is_public is not None, pushed_after is not None)
    rows = await asked.all(tx, sight, **values)
    return [Candidate(row[0], row[1], row[2], row[3:]) for row in rows if MISSING not in row[3:]]


async def shown(tx: Transaction, sight: Sight, ids: Sequence[int]) -> dict[int, Found]:
    """What is shown, by id, of those that the caller may see."""
    rows = await _SHOWN.all(tx, sight, ids=json.dumps(list(ids)))
    return {row[0]: Found(*row[1:]) for row in rows}


@lru_cache(maxsize=128)
def _asked(words: int, facets: int, public: bool, recent: bool) -> Seen:
    """The question with so many words and facets, and with these two or without."""
    query: Select[tuple[object, ...]] = select(
        _table.id, _table.name, _table.pulls, *map(_best_field, range(words))
    ).where(OneOfNumbers(_table.id, "ids"))
    if not words:  # who has words has a document
        query = query.where(exists().where(search_documents.c.repository_id == _table.id))
    if public:
        query = query.where(_table.public == bindparam("public"))
    if recent:
        query = query.where(_table.pushed_at > bindparam("pushed_after"))
    for number in range(facets):
        query = query.where(
            select(_words.field)
            .where(_words.repository_id == _table.id)
            .where(_words.word == bindparam(f"facet{number}"))
            .exists()
        )
    return Seen(query)


def _best_field(number: int) -> ColumnElement[int]:
    found = (
        select(func.min(_words.field))
        .where(_words.repository_id == _table.id)
        .where(_words.word >= bindparam(f"low{number}"))
        .where(_words.word <= bindparam(f"high{number}"))
        .scalar_subquery()
    )
    return func.coalesce(found, literal_column(str(MISSING)))


def _ids(row: Row | None) -> list[int]:
    found: list[int] = json.loads(row[0] or "[]") if row is not None else []
    return found
