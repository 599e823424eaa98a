"""Tags of a repository as people look for them: filtered, in four orders, page by page."""

from typing import Final, Literal

import msgspec

from kho.oci import media_types
from kho.oci.errors import InvalidRequest
from kho.server.database.contents import tags as rows
from kho.server.database.contents.tags import ALIASES, Order, TagRow, Wanted
from kho.server.database.engine import Transaction
from kho.server.index.catalogue import paging
from kho.server.resources import Resources

__all__ = ["Order", "Signature", "Tag", "TagPage", "TagQuery", "page"]

# `present`: something is attached that says it is a signature; nobody has verified it.
Signature = Literal["present", "none"]

LONGEST_TEXT: Final = 128  # of a tag, so of what is looked for
PLATFORMS: Final = 64
_NUMBERED: Final = ("pushed", "size", "pulls")


class TagQuery(msgspec.Struct, frozen=True):
    """What to list. `text` is part of a name in any case; with `*` or `?` it is a glob."""

    text: str = ""
    order: Order = "name"
    descending: bool = False
    cursor: str | None = None
    limit: int = 50


class Tag(msgspec.Struct, frozen=True):
    """A tag and what it points at; times in milliseconds, sizes in bytes.

    `kind` is image, index or artifact, "" until that is worked out. `aliases` are other tags of the
    same digest, `more_aliases` says that there are more of them. `size` is all that a pull would
    get, of an index for all platforms.
    """

    name: str
    digest: str
    media_type: str
    artifact_type: str | None
    kind: str
    platforms: tuple[str, ...]
    size: int
    pushed_at: int
    pushed_by: str
    built_at: int | None
    pulled_at: int | None
    pulls: int
    aliases: tuple[str, ...]
    more_aliases: bool
    signature: Signature


class TagPage(msgspec.Struct, frozen=True):
    """Some tags; `next` is the cursor of those after them."""

    tags: tuple[Tag, ...]
    next: str | None


async def page(resources: Resources, repository: str, query: TagQuery) -> TagPage:
    """Some tags of a repository; raise NameUnknown, or InvalidRequest for a wrong cursor."""
    wanted = Wanted(query.order, query.descending, _like(query.text), _after(query))
    return await resources.database.read(_page, repository, wanted, paging.bounded(query.limit))


async def _page(tx: Transaction, repository: str, wanted: Wanted, limit: int) -> TagPage:
    repository_id = await paging.repository_id(tx, repository)
    keys = await rows.keys(tx, repository_id, wanted, limit + 1)
    more = len(keys) > limit
    names = [name for _, name in keys[:limit]]
    found = await rows.rows(tx, repository_id, names) if names else {}
    next_ = paging.encode(wanted.order, int(wanted.descending), *keys[limit - 1]) if more else None
    # A tag may be gone since: each statement reads the newest rows.
    return TagPage(tuple(_tag(found[name]) for name in names if name in found), next_)


def _after(query: TagQuery) -> tuple[int | str, str] | None:
    if query.cursor is None:
        return None
    kind = int if query.order in _NUMBERED else str
    order, descending, key, name = paging.decode(query.cursor, (str, int, kind, str))
    if order != query.order or descending != int(query.descending):
        raise InvalidRequest("this cursor belongs to another order")
    return key, str(name)


def _like(text: str) -> str | None:
    """The pattern of LIKE for lower-case names; None for all."""
    text = text.strip().lower()
    if not text:
        return None
    if len(text) > LONGEST_TEXT:
        raise InvalidRequest("tags have at most %(most)s characters", most=LONGEST_TEXT)
    if not text.isprintable():
        raise InvalidRequest("tags hold no such characters")
    quoted = text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    if "*" in text or "?" in text:
        return quoted.replace("*", "%").replace("?", "_")
    return f"%{quoted}%"


def _tag(row: TagRow) -> Tag:
    aliases = sorted(name for name in rows.texts(row.aliases) if name != row.name)
    return Tag(
        name=row.name,
        digest=row.digest,
        media_type=row.media_type,
        artifact_type=row.artifact_type,
        kind=kind_of(row.kind, row.media_type),
        platforms=tuple(rows.texts(row.platforms)[:PLATFORMS]),
        size=row.manifest_size if row.total_size is None else row.total_size,
        pushed_at=row.updated_at,
        pushed_by=row.pushed_by,
        built_at=row.built_at,
        pulled_at=row.pulled_at or None,
        pulls=row.pulls,
        aliases=tuple(aliases[:ALIASES]),
        more_aliases=len(aliases) > ALIASES,
        signature=signature_of(row.signed),
    )


def kind_of(recorded: str | None, media_type: str) -> str:
    """Image, index or artifact; "" where nobody has looked yet."""
    return recorded or ("index" if media_type in media_types.INDEXES else "")


def signature_of(signed: int) -> Signature:
    """Of a row's 0 or 1."""
    return "present" if signed else "none"
