"""Who may do what: actions, roles, grants, principals, and the one function that decides.

    principal ── grants: subject, role, glob        what its subjects were given
              └─ ceilings: glob, actions            what its token may use of that, at most

A request is allowed when a grant has the action and every ceiling has it too. The default is no.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Self

from kho.server.policy.errors import Disallowed
from kho.server.policy.patterns import matches


class Action(StrEnum):
    """Every action that can be asked for."""

    OPERATE = "operate"  # health: asked by machines, tells nothing of content
    SIGN_IN = "sign-in"  # pages and endpoints where people and machines say who they are
    PING = "ping"
    CATALOG = "catalog"
    BROWSE = "browse"  # the index, which shows to each what it may pull
    ACCOUNT = "account"  # one's own: password, tokens, sessions
    PULL = "pull"
    PUSH = "push"
    CREATE = "create"  # a repository, by its first push
    TAG = "tag"  # a tag that is not there
    OVERWRITE = "overwrite"  # a tag that is there
    DELETE = "delete"  # tags, manifests, blobs
    SETTINGS = "settings"  # of a repository
    METRICS = "metrics"  # how much is going on
    ADMIN = "admin"  # users, grants, everything


ON_REPOSITORIES: Final = (
    Action.PULL,
    Action.PUSH,
    Action.CREATE,
    Action.TAG,
    Action.OVERWRITE,
    Action.DELETE,
    Action.SETTINGS,
)
# What the protocol's `push` stands for, where finer actions are not told apart.
PUSHING: Final = frozenset({Action.PUSH, Action.CREATE, Action.TAG, Action.OVERWRITE})
# Asked of nobody: who calls here has no name yet, or needs none.
FREE: Final = frozenset({Action.OPERATE, Action.SIGN_IN})

_WRITER: Final = PUSHING | {Action.PULL}
ROLES: Final[Mapping[str, frozenset[Action]]] = {
    "reader": frozenset({Action.PULL}),
    "writer": _WRITER,
    "maintainer": _WRITER | {Action.DELETE, Action.SETTINGS},
    "admin": frozenset(ON_REPOSITORIES) | {Action.METRICS, Action.ADMIN},
    "monitor": frozenset({Action.METRICS}),
}

ANONYMOUS: Final = "anonymous"
EVERYONE: Final = "everyone"  # all who signed in
EVERYTHING: Final = "**"


class Grant(NamedTuple):
    """`subject` (user:NAME, group:NAME, robot:NAME, everyone, anonymous) has `role` on `pattern`.

    `actions` are those of the role.
    """

    subject: str
    role: str
    pattern: str
    actions: frozenset[Action]


class Allowance(NamedTuple):
    """A line of a ceiling: these actions on the repositories of the glob."""

    pattern: str
    actions: frozenset[Action]


Ceiling = tuple[Allowance, ...]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, with what decides over it.

    `name` is `user:alice`, `robot:ci` or `anonymous`: the actor in history, sessions and audit.
    """

    name: str
    grants: tuple[Grant, ...] = ()
    ceilings: tuple[Ceiling, ...] = ()
    open: bool = False  # the caller of a registry that runs without authentication
    shown: bool = True  # False: the request carries no credentials at all
    bearer: bool = False  # came with a token of /token: may fetch another with more scope
    catalog: bool = True  # False: a token without `registry:catalog:*`

    @property
    def anonymous(self) -> bool:
        """Whether nobody signed in."""
        return self.name == ANONYMOUS


ANYONE: Final = Principal(ANONYMOUS, open=True)
NOBODY: Final = Principal(ANONYMOUS, shown=False)


class By(str):
    """The name of who does something, with where the request came from, for the audit trail.

    Everywhere else it is the name alone, as the text that commands of khod give.
    """

    __slots__ = ("address", "request_id")
    address: str
    request_id: str

    def __new__(cls, name: str, address: str, request_id: str) -> Self:
        """A name that knows where it speaks from."""
        made = super().__new__(cls, name)
        made.address, made.request_id = address, request_id
        return made


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal and where its request came from, as the audit trail tells it."""

    principal: Principal
    address: str = ""
    request_id: str = ""

    @property
    def name(self) -> str:
        """The principal's."""
        return self.principal.name

    @property
    def by(self) -> By:
        """Whom the audit trail names for what is done now."""
        return By(self.name, self.address, self.request_id)

    @property
    def anonymous(self) -> bool:
        """Whether nobody signed in."""
        return self.principal.anonymous


def allowed(principal: Principal, action: Action, repository: str | None) -> bool:
    """Decide from what the principal carries; a public repository is the caller's question."""
    if principal.open or action in FREE:
        return True
    if action in (Action.PING, Action.CATALOG):
        return principal.shown and (principal.catalog or action is Action.PING)
    if action is Action.BROWSE:
        return True
    if action is Action.ACCOUNT:  # a token that can do little must not make one that can do more
        return principal.name.startswith("user:") and not principal.ceilings
    name = repository or ""
    return (
        within_ceilings(principal.ceilings, action, name)
        and granting(principal.grants, action, name) is not None
    )


def within_ceilings(ceilings: Sequence[Ceiling], action: Action, repository: str) -> bool:
    """Whether every ceiling lets the action through."""
    return all(
        any(action in line.actions and matches(line.pattern, repository) for line in ceiling)
        for ceiling in ceilings
    )


def granting(grants: Iterable[Grant], action: Action, repository: str) -> Grant | None:
    """The first grant that has the action; None is no."""
    for grant in grants:
        if action in grant.actions and matches(grant.pattern, repository):
            return grant
    return None


def pullable(principal: Principal) -> list[str]:
    """The globs of what the principal may pull, as far as its grants go."""
    if principal.open:
        return [EVERYTHING]
    return [grant.pattern for grant in principal.grants if Action.PULL in grant.actions]


def parse_actions(words: Iterable[str]) -> frozenset[Action]:
    """Actions on repositories, or `*` for all of them. `push` alone stays `push`.

    Raises ValueError.
    """
    found: set[Action] = set()
    for word in words:
        if word == "*":
            found.update(ON_REPOSITORIES)
            continue
        if word not in ON_REPOSITORIES:
            names = ", ".join((*ON_REPOSITORIES, "*"))
            raise Disallowed(
                "%(word)s is no action; allowed are %(names)s", word=ascii(word), names=names
            )
        found.add(Action(word))
    return frozenset(found)
