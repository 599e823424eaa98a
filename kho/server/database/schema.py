"""Every table on one page.

    repositories ─┬─< repository_blobs >── blobs         which repository may read which blob
                  ├─< manifests ──< manifest_references  config, layers, children of an index
                  │       └──────< tags                  a tag cannot outlive its manifest
                  └─< tag_history                        every move of a tag, kept for ever
    uploads                                              sessions, by repository name: there
                                                         may be no such repository yet

    accounts, group_names ──< group_members              people; members by name, of any source
    robots                                               machines
    roles, grants                                        who may do what: subject, role, glob
    credentials ──< credentials                          access, refresh, session and setup tokens,
                                                         hashed; a child ends with its parent
    trust_rules, issuer_keys, signing_keys               whom we believe, whose keys, our keys
    throttles, familiar_addresses                        failed logins
    audit_events                                         what happened
    revisions                                            a number that grows with every change of
                                                         who may do what

Digests are text (`sha256:...`), times milliseconds since the epoch by the database's clock. Text
that is compared or sorted does so by bytes in both databases. Bodies come last in a row: SQLite
reads a long row only up to the column that is asked for.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

REVISION: Final = "0002"  # the newest step in migrations/versions

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)

Bytewise = Text().with_variant(Text(collation="C"), "postgresql")
Whole = BigInteger().with_variant(Integer(), "sqlite")

_STRICT: Final[dict[str, Any]] = {"sqlite_strict": True}
_BY_KEY: Final[dict[str, Any]] = {"sqlite_strict": True, "sqlite_with_rowid": False}


def _identity() -> Column[int]:
    return Column("id", Whole, Identity(), primary_key=True)


def _repository(*, primary_key: bool = False) -> Column[int]:
    return Column(
        "repository_id",
        Whole,
        ForeignKey("repositories.id"),
        primary_key=primary_key,
        nullable=False,
    )


def _required(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, Bytewise, primary_key=key, nullable=False)


def _at(name: str) -> Column[int]:
    return Column(name, Whole, nullable=False)


repositories = Table(
    "repositories",
    metadata,
    _identity(),
    Column("name", Bytewise, nullable=False, unique=True),
    Column(
        "sort_key", Bytewise, nullable=False, unique=True
    ),  # `/` as `!`: children before siblings
    _at("created_at"),
    Column("public", Integer, nullable=False, server_default="0"),  # anyone may pull
    Index("repositories_public_idx", "public", "sort_key"),
    **_STRICT,
)

blobs = Table(
    "blobs",
    metadata,
    _required("digest", key=True),
    Column("size", Whole, nullable=False),
    _at("created_at"),
    **_BY_KEY,
)

repository_blobs = Table(
    "repository_blobs",
    metadata,
    _repository(primary_key=True),
    Column("digest", Bytewise, ForeignKey("blobs.digest"), primary_key=True),
    _at("created_at"),
    Index(None, "digest"),
    **_BY_KEY,
)

manifests = Table(
    "manifests",
    metadata,
    _identity(),
    _repository(),
    _required("digest"),
    _required("media_type"),
    Column("artifact_type", Bytewise),
    Column("subject_digest", Bytewise),
    Column("size", Whole, nullable=False),
    _at("created_at"),
    Column("annotations", Text),  # JSON, only where a list of referrers shows them
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("repository_id", "digest"),
    # artifact_type last, so that a filter is answered from the index alone.
    Index(None, "repository_id", "subject_digest", "digest", "artifact_type"),
    **_STRICT,
)

manifest_references = Table(
    "manifest_references",
    metadata,
    Column("manifest_id", Whole, ForeignKey("manifests.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    _required("digest"),
    Column(
        "kind",
        Text,
        CheckConstraint("kind IN ('config', 'layer', 'manifest')", "kind"),
        nullable=False,
    ),
    Index(None, "digest"),
    **_BY_KEY,
)

tags = Table(
    "tags",
    metadata,
    _repository(primary_key=True),
    _required("name", key=True),
    _required("digest"),
    _at("updated_at"),
    # I3: the database itself refuses a tag without its manifest, whatever races with whatever.
    ForeignKeyConstraint(
        ["repository_id", "digest"], ["manifests.repository_id", "manifests.digest"]
    ),
    Index(None, "repository_id", "digest"),
    **_BY_KEY,
)

tag_history = Table(
    "tag_history",
    metadata,
    _identity(),
    _repository(),
    _required("tag"),
    Column("from_digest", Bytewise),
    Column("to_digest", Bytewise),
    _required("actor"),
    _at("at"),
    Index(None, "repository_id", "tag", "id"),
    **_STRICT,
)

uploads = Table(
    "uploads",
    metadata,
    _required("id", key=True),
    _required("repository"),
    _required("actor"),
    _required("algorithm"),
    Column("size", Whole, nullable=False),
    _at("started_at"),
    _at("touched_at"),
    Column("state", LargeBinary),
    Index(None, "touched_at"),
    **_STRICT,
)

accounts = Table(
    "accounts",
    metadata,
    _identity(),
    Column("name", Bytewise, nullable=False, unique=True),
    _required("source"),  # local, oidc
    Column("external_id", Bytewise, unique=True),  # issuer and subject of a person's provider
    Column("password_hash", Text),
    Column("email", Text),
    Column("admin", Integer, nullable=False),
    Column("disabled", Integer, nullable=False),
    _at("created_at"),
    Column("last_login_at", Whole),
    **_STRICT,
)

group_names = Table(
    "group_names", metadata, _required("name", key=True), _at("created_at"), **_BY_KEY
)

group_members = Table(
    "group_members",
    metadata,
    Column("group_name", Bytewise, ForeignKey("group_names.name"), primary_key=True),
    _required("user_name", key=True),
    _required("source", key=True),  # local (set by hand), ldap, oidc (set at each login)
    Index(None, "user_name"),
    **_BY_KEY,
)

robots = Table(
    "robots",
    metadata,
    _required("name", key=True),
    Column("description", Text, nullable=False),
    Column("disabled", Integer, nullable=False),
    _at("created_at"),
    **_BY_KEY,
)

roles = Table(
    "roles",
    metadata,
    _required("name", key=True),
    Column("actions", Text, nullable=False),  # JSON
    **_BY_KEY,
)

grants = Table(
    "grants",
    metadata,
    _identity(),
    _required("subject"),
    _required("role"),
    _required("pattern"),
    _required("created_by"),
    _at("created_at"),
    UniqueConstraint("subject", "pattern", "role"),
    **_STRICT,
)

credentials = Table(
    "credentials",
    metadata,
    _identity(),
    _required("kind"),  # personal, robot, refresh, session, setup, device
    Column("secret_hash", Bytewise, nullable=False, unique=True),
    _required("subject"),
    _required("name"),
    Column("ceiling", Text),  # JSON; NULL is no ceiling
    Column("details", Text),  # JSON, by kind
    Column("parent_id", Whole, ForeignKey("credentials.id", ondelete="CASCADE")),
    Column("lifetime", Whole),  # milliseconds that a use prolongs it by; NULL is a fixed end
    Column("expires_at", Whole),
    _at("created_at"),
    Column("last_used_at", Whole),
    Index(None, "subject", "kind", "name"),
    Index(None, "parent_id"),
    Index(None, "expires_at"),
    **_STRICT,
)

trust_rules = Table(
    "trust_rules",
    metadata,
    _required("name", key=True),
    _required("issuer"),
    _required("audience"),
    Column("conditions", Text, nullable=False),  # JSON: claim to list of globs
    _required("robot"),
    Column("jwks_url", Text),
    _at("created_at"),
    **_BY_KEY,
)

issuer_keys = Table(
    "issuer_keys",
    metadata,
    _required("issuer", key=True),
    Column("document", Text),  # JWKS
    Column("fetched_at", Whole),
    _at("attempted_at"),
    **_BY_KEY,
)

signing_keys = Table(
    "signing_keys",
    metadata,
    _required("kid", key=True),
    _required("algorithm"),
    Column("private_key", Text, nullable=False),  # PEM, PKCS#8
    _at("created_at"),
    Column("retires_at", Whole),  # until then tokens are believed; NULL signs
    **_BY_KEY,
)

throttles = Table(
    "throttles",
    metadata,
    _required("key", key=True),
    Column("free_at", Whole, nullable=False),  # when the bucket will be empty again
    Index(None, "free_at"),
    **_BY_KEY,
)

familiar_addresses = Table(
    "familiar_addresses",
    metadata,
    _required("user_name", key=True),
    _required("address", key=True),
    _at("seen_at"),
    Index(None, "seen_at"),
    **_BY_KEY,
)

audit_events = Table(
    "audit_events",
    metadata,
    _identity(),
    _at("at"),
    _required("action"),
    _required("outcome"),  # allowed, denied, failed
    _required("actor"),
    Column("repository", Bytewise),
    Column("target", Bytewise),
    Column("address", Bytewise),
    Column("request_id", Bytewise),
    Column("count", Integer, nullable=False),  # alike within a moment: one row
    Column("details", Text),  # JSON
    Index(None, "at"),
    Index(None, "actor", "id"),
    Index(None, "repository", "id"),
    **_STRICT,
)

revisions = Table(
    "revisions",
    metadata,
    _required("name", key=True),
    Column("value", Whole, nullable=False),
    **_BY_KEY,
)
