"""Every table on one page; those of the index alone are in `index_schema.py`.

    repositories ─┬─< repository_blobs >── blobs         which repository may read which blob
                  ├─< manifests ──< manifest_references  config, layers, children of an index
                  │       └──────< tags                  a tag cannot outlive its manifest
                  ├─< tag_history                        every move of a tag, kept for ever
                  ├─< readmes, traffic                   its page; pulls and pushes by day
                  ├─< search_documents, search_words     by what it is found
                  └─< manifests ── images                what a manifest is: platforms, size, labels
    layer_listings ──< layer_files                       what is inside a layer, by folder
    uploads                                              sessions, by repository name: there
                                                         may be no such repository yet

    accounts, group_names ──< group_members              people; members by name, of any source
    robots                                               machines
    roles, grants                                        who may do what: subject, role, glob
    credentials ──< credentials                          access, refresh, session and setup tokens,
                                                         hashed; a child ends with its parent
    trust_rules, issuer_keys, signing_keys               whom we believe, whose keys, our keys
    throttles, familiar_addresses                        failed logins
    audit_events, storage_checks                         what happened; checks that were asked for
    revisions                                            a number that grows with every change of
                                                         who may do what

Digests are text (`sha256:...`), times milliseconds since the epoch by the database's clock. Text
that is compared or sorted does so by bytes in both databases. Bodies come last in a row: SQLite
reads a long row only up to the column that is asked for.
"""

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from kho.server.database.check_schema import storage_checks
from kho.server.database.columns import (
    BY_KEY,
    STRICT,
    Bytewise,
    Whole,
    at,
    counted,
    identity,
    metadata,
    repository,
    required,
)
from kho.server.database.index_schema import images, layer_files, layer_listings, readmes, traffic
from kho.server.database.search_schema import search_documents, search_words

__all__ = [
    "REVISION",
    "accounts",
    "audit_events",
    "blobs",
    "credentials",
    "familiar_addresses",
    "grants",
    "group_members",
    "group_names",
    "images",
    "issuer_keys",
    "layer_files",
    "layer_listings",
    "manifest_references",
    "manifests",
    "metadata",
    "readmes",
    "repositories",
    "repository_blobs",
    "revisions",
    "robots",
    "roles",
    "search_documents",
    "search_words",
    "signing_keys",
    "storage_checks",
    "tag_history",
    "tags",
    "throttles",
    "traffic",
    "trust_rules",
    "uploads",
]

REVISION: Final = "0005"  # the newest step in migrations/versions

repositories = Table(
    "repositories",
    metadata,
    identity(),
    Column("name", Bytewise, nullable=False, unique=True),
    Column(
        "sort_key", Bytewise, nullable=False, unique=True
    ),  # `/` as `!`: children before siblings
    at("created_at"),
    Column("public", Integer, nullable=False, server_default="0"),  # anyone may pull
    Column("description", Text, nullable=False, server_default=""),
    counted("pushed_at"),  # the newest push; 0 is never
    counted("pulled_at"),
    counted("pulls"),
    counted("size"),  # bytes of its blobs and manifests, each once
    counted("tag_count"),
    # 0: made by a version without an index; what the index knows of it is still to be found out.
    Column("indexed", Integer, nullable=False, server_default="0"),
    Index("repositories_public_idx", "public", "sort_key"),
    Index(None, "pushed_at", "sort_key"),
    Index(None, "pulls", "sort_key"),
    Index(None, "size", "sort_key"),
    Index(None, "indexed", "id"),
    **STRICT,
)

blobs = Table(
    "blobs",
    metadata,
    required("digest", key=True),
    Column("size", Whole, nullable=False),
    at("created_at"),
    **BY_KEY,
)

repository_blobs = Table(
    "repository_blobs",
    metadata,
    repository(primary_key=True),
    Column("digest", Bytewise, ForeignKey("blobs.digest"), primary_key=True),
    at("created_at"),
    Index(None, "digest"),
    **BY_KEY,
)

manifests = Table(
    "manifests",
    metadata,
    identity(),
    repository(),
    required("digest"),
    required("media_type"),
    Column("artifact_type", Bytewise),
    Column("subject_digest", Bytewise),
    Column("size", Whole, nullable=False),
    at("created_at"),
    Column("annotations", Text),  # JSON, only where a list of referrers shows them
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("repository_id", "digest"),
    # artifact_type last, so that a filter is answered from the index alone.
    Index(None, "repository_id", "subject_digest", "digest", "artifact_type"),
    Index(None, "digest"),
    Index(None, "repository_id", "id"),
    **STRICT,
)

manifest_references = Table(
    "manifest_references",
    metadata,
    Column("manifest_id", Whole, ForeignKey("manifests.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    required("digest"),
    Column(
        "kind",
        Text,
        CheckConstraint("kind IN ('config', 'layer', 'manifest')", "kind"),
        nullable=False,
    ),
    Index(None, "digest"),
    **BY_KEY,
)

tags = Table(
    "tags",
    metadata,
    repository(primary_key=True),
    required("name", key=True),
    required("digest"),
    at("updated_at"),
    Column("pushed_by", Bytewise, nullable=False, server_default=""),
    counted("pulled_at"),
    counted("pulls"),
    # Sorts 1.9 before 1.10; "" until it has been worked out.
    Column("natural_key", Bytewise, nullable=False, server_default=""),
    counted("size"),  # images.total_size of what it points at
    # I3: the database itself refuses a tag without its manifest, whatever races with whatever.
    ForeignKeyConstraint(
        ["repository_id", "digest"], ["manifests.repository_id", "manifests.digest"]
    ),
    Index(None, "repository_id", "digest"),
    Index(None, "repository_id", "natural_key", "name"),
    Index(None, "repository_id", "updated_at", "name"),
    Index(None, "repository_id", "size", "name"),
    Index(None, "repository_id", "pulls", "name"),
    **BY_KEY,
)

tag_history = Table(
    "tag_history",
    metadata,
    identity(),
    repository(),
    required("tag"),
    Column("from_digest", Bytewise),
    Column("to_digest", Bytewise),
    required("actor"),
    at("at"),
    Index(None, "repository_id", "tag", "id"),
    Index(None, "repository_id", "id"),
    **STRICT,
)

uploads = Table(
    "uploads",
    metadata,
    required("id", key=True),
    required("repository"),
    required("actor"),
    required("algorithm"),
    Column("size", Whole, nullable=False),
    at("started_at"),
    at("touched_at"),
    Column("state", LargeBinary),
    Index(None, "touched_at"),
    **STRICT,
)

accounts = Table(
    "accounts",
    metadata,
    identity(),
    Column("name", Bytewise, nullable=False, unique=True),
    required("source"),  # local, oidc
    Column("external_id", Bytewise, unique=True),  # issuer and subject of a person's provider
    Column("password_hash", Text),
    Column("email", Text),
    Column("admin", Integer, nullable=False),
    Column("disabled", Integer, nullable=False),
    at("created_at"),
    Column("last_login_at", Whole),
    **STRICT,
)

group_names = Table("group_names", metadata, required("name", key=True), at("created_at"), **BY_KEY)

group_members = Table(
    "group_members",
    metadata,
    Column("group_name", Bytewise, ForeignKey("group_names.name"), primary_key=True),
    required("user_name", key=True),
    required("source", key=True),  # local (set by hand), ldap, oidc (set at each login)
    Index(None, "user_name"),
    **BY_KEY,
)

robots = Table(
    "robots",
    metadata,
    required("name", key=True),
    Column("description", Text, nullable=False),
    Column("disabled", Integer, nullable=False),
    at("created_at"),
    **BY_KEY,
)

roles = Table(
    "roles",
    metadata,
    required("name", key=True),
    Column("actions", Text, nullable=False),  # JSON
    **BY_KEY,
)

grants = Table(
    "grants",
    metadata,
    identity(),
    required("subject"),
    required("role"),
    required("pattern"),
    required("created_by"),
    at("created_at"),
    UniqueConstraint("subject", "pattern", "role"),
    **STRICT,
)

credentials = Table(
    "credentials",
    metadata,
    identity(),
    required("kind"),  # personal, robot, refresh, session, setup, device
    Column("secret_hash", Bytewise, nullable=False, unique=True),
    required("subject"),
    required("name"),
    Column("ceiling", Text),  # JSON; NULL is no ceiling
    Column("details", Text),  # JSON, by kind
    Column("parent_id", Whole, ForeignKey("credentials.id", ondelete="CASCADE")),
    Column("lifetime", Whole),  # milliseconds that a use prolongs it by; NULL is a fixed end
    Column("expires_at", Whole),
    at("created_at"),
    Column("last_used_at", Whole),
    Index(None, "subject", "kind", "name"),
    Index(None, "parent_id"),
    Index(None, "expires_at"),
    **STRICT,
)

trust_rules = Table(
    "trust_rules",
    metadata,
    required("name", key=True),
    required("issuer"),
    required("audience"),
    Column("conditions", Text, nullable=False),  # JSON: claim to list of globs
    required("robot"),
    Column("jwks_url", Text),
    at("created_at"),
    **BY_KEY,
)

issuer_keys = Table(
    "issuer_keys",
    metadata,
    required("issuer", key=True),
    Column("document", Text),  # JWKS
    Column("fetched_at", Whole),
    at("attempted_at"),
    **BY_KEY,
)

signing_keys = Table(
    "signing_keys",
    metadata,
    required("kid", key=True),
    required("algorithm"),
    Column("private_key", Text, nullable=False),  # PEM, PKCS#8
    at("created_at"),
    Column("retires_at", Whole),  # until then tokens are believed; NULL signs
    **BY_KEY,
)

throttles = Table(
    "throttles",
    metadata,
    required("key", key=True),
    Column("free_at", Whole, nullable=False),  # when the bucket will be empty again
    Index(None, "free_at"),
    **BY_KEY,
)

familiar_addresses = Table(
    "familiar_addresses",
    metadata,
    required("user_name", key=True),
    required("address", key=True),
    at("seen_at"),
    Index(None, "seen_at"),
    **BY_KEY,
)

audit_events = Table(
    "audit_events",
    metadata,
    identity(),
    at("at"),
    required("action"),
    required("outcome"),  # allowed, denied, failed
    required("actor"),
    Column("repository", Bytewise),
    Column("target", Bytewise),
    Column("address", Bytewise),
    Column("request_id", Bytewise),
    Column("count", Integer, nullable=False),  # alike within a moment: one row
    Column("details", Text),  # JSON
    Index(None, "at"),
    Index(None, "actor", "id"),
    Index(None, "repository", "id"),
    **STRICT,
)

revisions = Table(
    "revisions",
    metadata,
    required("name", key=True),
    Column("value", Whole, nullable=False),
    **BY_KEY,
)
