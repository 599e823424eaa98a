"""Repositories that the caller may see: in four orders, filtered, page by page; and one of them."""

import json
from typing import Final

import msgspec

from kho.oci.errors import InvalidRequest, NameUnknown
from kho.oci.platform import Platform, PlatformInvalid
from kho.server.database import catalogue as rows
from kho.server.database import profiles
from kho.server.database.catalogue import Order, RepositoryRow, Wanted
from kho.server.database.engine import Transaction
from kho.server.database.searching.search_document import kind_facet, platform_facet
from kho.server.index.catalogue import paging
from kho.server.policy.access import ON_REPOSITORIES, Action, Principal, allowed
from kho.server.policy.patterns import sort_key
from kho.server.policy.sight import Sight, sight_of
from kho.server.resources import Resources

__all__ = [
    "Order",
    "Overview",
    "Repository",
    "RepositoryPage",
    "RepositoryQuery",
    "overview",
    "page",
]

LONGEST_TEXT: Final = 255  # of a name, so of what is looked for
MOST_DAYS: Final = 36_500
_KINDS: Final = ("image", "index", "artifact")
_LIKE: Final = str.maketrans({"%": "|%", "_": "|_", "|": "||"})
_DESCRIPTION: Final = "org.opencontainers.image.description"
_LINKS: Final = {
    "documentation": "org.opencontainers.image.documentation",
    "source": "org.opencontainers.image.source",
    "url": "org.opencontainers.image.url",
    "licenses": "org.opencontainers.image.licenses",
}


class RepositoryQuery(msgspec.Struct, frozen=True):
    """What to list; None and "" ask nothing.

    `text` is part of a name in any case. `namespace` is what stands before a slash, `team` or
    `team/sub`. `kind` is image, index or artifact, `platform` os/architecture[/variant]; both are
    asked of what the newest tags point at. `pushed_days`: pushed to in so many days.
    """

    text: str = ""
    namespace: str = ""
    public: bool | None = None
    kind: str = ""
    platform: str = ""
    pushed_days: int | None = None
    order: Order = "name"
    descending: bool = False
    cursor: str | None = None
    limit: int = 50


class Repository(msgspec.Struct, frozen=True):
    """A repository; times in milliseconds, None is never; `size` in bytes, each blob once."""

    name: str
    public: bool
    description: str
    created_at: int
    pushed_at: int | None
    pulled_at: int | None
    pulls: int
    size: int
    tags: int


class RepositoryPage(msgspec.Struct, frozen=True):
    """Some repositories; `next` is the cursor of those after them.

    `total` is None where there are more than 10,000, or where counting takes long.
    """

    repositories: tuple[Repository, ...]
    total: int | None
    next: str | None


class Overview(msgspec.Struct, frozen=True):
    """One repository as its page has it.

    `readme` is Markdown, `readme_from` "upload", "image" or "". What the newest image says of
    itself is in `links` (documentation, source, url, licenses) and, where nobody has described the
    repository (`described`), in `description`. `actions` are what the caller may do here.
    """

    repository: Repository
    described: bool
    readme: str
    readme_from: str
    newest: str | None
    pushed_by: str | None
    links: dict[str, str]
    actions: tuple[str, ...]


async def page(
    resources: Resources, principal: Principal, query: RepositoryQuery
) -> RepositoryPage:
    """Some of those that the principal may see; raise InvalidRequest for what cannot be asked."""
    wanted = _wanted(query)
    limit = paging.bounded(query.limit)
    return await resources.database.read(_page, sight_of(principal), wanted, limit)


async def _page(tx: Transaction, sight: Sight, wanted: Wanted, limit: int) -> RepositoryPage:
    keys = await rows.keys(tx, sight, wanted, limit + 1)
    found = await rows.rows(tx, [key for _, key in keys[:limit]])
    total = await rows.count(tx, sight, wanted) if wanted.after is None else None
    next_ = None
    if len(keys) > limit:
        next_ = paging.encode(wanted.order, int(wanted.descending), *keys[limit - 1])
    return RepositoryPage(tuple(map(_told, found)), total, next_)


def _told(row: RepositoryRow) -> Repository:
    return Repository(
        name=row.name,
        public=row.public,
        description=row.description,
        created_at=row.created_at,
        pushed_at=row.pushed_at or None,
        pulled_at=row.pulled_at or None,
        pulls=row.pulls,
        size=row.size,
        tags=row.tags,
    )


def _wanted(query: RepositoryQuery) -> Wanted:
    text = sort_key(query.text.lower())
    if max(map(len, (text, query.namespace, query.platform))) > LONGEST_TEXT:
        raise InvalidRequest("at most %(most)s characters can be looked for", most=LONGEST_TEXT)
    if query.kind not in ("", *_KINDS):
        raise InvalidRequest("kind is one of %(allowed)s", allowed=", ".join(_KINDS))
    if query.pushed_days is not None and not 0 < query.pushed_days <= MOST_DAYS:
        raise InvalidRequest("days are 1 to %(most)s", most=MOST_DAYS)
    wanted = Wanted(
        order=query.order,
        descending=query.descending,
        like=f"%{_clean(text).translate(_LIKE)}%" if text else None,
        public=query.public,
        kind=kind_facet(query.kind) if query.kind else None,
        platform=_platform(query.platform),
        pushed_days=query.pushed_days,
        after=_after(query),
    )
    if not query.namespace:
        return wanted
    low = sort_key(_clean(query.namespace.lower()).strip("/"))
    return wanted._replace(low=f"{low}!", high=f'{low}"')


def _clean(text: str) -> str:
    """PostgreSQL takes no NUL, and no name has one."""
    return text.replace("\0", "\x01")


def _platform(text: str) -> str | None:
    if not text:
        return None
    try:
        return platform_facet(str(Platform.parse(text)))
    except PlatformInvalid as error:
        raise InvalidRequest(error.template, headers=(), **error.values) from error


def _after(query: RepositoryQuery) -> tuple[int | str, str] | None:
    if query.cursor is None:
        return None
    kind = str if query.order == "name" else int
    order, descending, key, name = paging.decode(query.cursor, (str, int, kind, str))
    if (order, descending) != (query.order, int(query.descending)):
        raise InvalidRequest("this cursor is of a list in another order")
    return key, str(name)


async def overview(resources: Resources, principal: Principal, name: str) -> Overview:
    """A repository, whoever asks (`pull` is the door's question); raise NameUnknown."""
    row = await resources.database.read(rows.row, name)
    if row is None:
        raise NameUnknown("repository unknown to this registry", detail={"name": name})
    told = await resources.database.read(profiles.find, row.id)
    labels = _labels(told.labels)
    described = labels.get(_DESCRIPTION, "")
    repository = _told(row)
    described_here = bool(repository.description)
    if not described_here:
        repository = msgspec.structs.replace(repository, description=described[:1000])
    readme = told.readme if told.readme is not None else described
    source = "image" if described else ""
    return Overview(
        repository=repository,
        described=described_here,
        readme=readme,
        readme_from="upload" if told.readme is not None else source,
        newest=told.newest,
        pushed_by=told.pushed_by,
        links={key: labels[label] for key, label in _LINKS.items() if label in labels},
        actions=_actions(principal, row),
    )


def _labels(text: str | None) -> dict[str, str]:
    found: dict[str, str] = json.loads(text) if text else {}
    return found


def _actions(principal: Principal, row: RepositoryRow) -> tuple[str, ...]:
    """What the caller may do; whoever sees it may pull."""
    may = [action for action in ON_REPOSITORIES if allowed(principal, action, row.name)]
    return tuple(dict.fromkeys((Action.PULL.value, *(action.value for action in may))))
