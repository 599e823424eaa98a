"""Every setting of khod, declared once: key, type, default, what is allowed, one line of help."""

import ipaddress
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import cast
from urllib.parse import quote

from kho.server.identity_settings import (
    AuditSettings,
    AuthSettings,
    LdapSettings,
    OidcSettings,
    TlsSettings,
    TokenSettings,
)
from kho.server.setting import (
    Address,
    Kind,
    Setting,
    address_kind,
    choice_kind,
    duration_kind,
    list_kind,
    path_kind,
    setting,
    size_kind,
    switch_kind,
    text_kind,
    url_kind,
    whole_kind,
)

STORAGE_SCHEMES = ("file", "memory")
DATABASE_SCHEMES = ("sqlite", "postgresql")


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Deadlines and bounds of the connections."""

    drain_seconds: float = setting(
        duration_kind("s", 0, 3600),
        30.0,
        "After SIGTERM, how long running requests may take before they are cut.",
    )
    header_seconds: float = setting(
        duration_kind("s", 0.1, 300),
        30.0,
        "How long a client may take to send the headers of a request, and how long an idle"
        " connection is kept.",
    )
    idle_seconds: float = setting(
        duration_kind("s", 0.1, 3600),
        30.0,
        "How long a client may take to send or to accept the next chunk of a body.",
    )
    minimum_rate: int = setting(
        size_kind(0, 2**30, "; 0 is no minimum"),
        1024,
        "Bytes per second that a body must average once the grace has passed.",
    )
    grace_seconds: float = setting(
        duration_kind("s", 0, 3600),
        30.0,
        "How long a body may stay below the minimum rate.",
    )
    max_connections: int = setting(
        whole_kind(1, 1_000_000),
        4096,
        "Connections that one worker serves at once; further ones wait.",
    )
    backlog: int = setting(
        whole_kind(128, 65535),
        8192,
        "Connections that may wait to be accepted (the system's net.core.somaxconn bounds it too).",
    )

    public_url: str = setting(
        url_kind('https://host[:port], http://host[:port] or ""', "https", "http"),
        "",
        "What clients call this registry; empty takes the request's Host.",
    )
    trusted_proxies: tuple[str, ...] = setting(
        list_kind("a list of addresses and networks", ipaddress.ip_network),
        (),
        "Proxies whose X-Forwarded-For and subject header are believed.",
    )
    subject_header: str = setting(
        text_kind("the name of a header", r"[A-Za-z0-9-]{0,64}"),
        "",
        "Header of a trusted proxy that holds the subject of the client's certificate.",
    )


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """How large things may be."""

    manifest_bytes: int = setting(
        size_kind(1024, 64 * 2**20), 4 * 2**20, "Largest manifest that is accepted."
    )
    page: int = setting(
        whole_kind(1, 10_000), 1000, "Most entries in one page of tags, repositories or referrers."
    )
    tags_per_request: int = setting(
        whole_kind(1, 1000), 64, "Most tags that one manifest push may set with `?tag=`."
    )
    blob_bytes: int = setting(
        size_kind(0, 2**50, "; 0 is no limit"), 0, "Largest blob that is accepted."
    )
    open_uploads: int = setting(
        whole_kind(0, 10_000_000, "; 0 is no limit"),
        10_000,
        "Uploads that one account, robot or workload may have begun and not finished; beyond it"
        " (about: workers look now and then) new ones are refused with 429. All anonymous clients"
        " count as one.",
    )


@dataclass(frozen=True, slots=True)
class UploadSettings:
    """Uploads that were begun and not finished."""

    expire_hours: float = setting(
        duration_kind("h", 0.01, 8760),
        168.0,
        "How long an upload without progress is kept for its client to resume.",
    )


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Lines on standard error."""

    level: str = setting(
        choice_kind("debug", "info", "warning", "error"),
        "info",
        "Least severe event that is logged.",
    )
    format: str = setting(choice_kind("json", "text"), "json", "One JSON object or one plain line.")
    access: bool = setting(switch_kind(), default=True, text="Log a line for every request.")


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """Figures for Prometheus."""

    enabled: bool = setting(switch_kind(), default=True, text="Serve `/metrics`.")


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """The web page, search, the JSON API, and what they know."""

    enabled: bool = setting(
        switch_kind(),
        default=True,
        text="Serve the web page, `/v1/search` and `/api/v1`; without, a plain registry is left.",
    )
    files: bool = setting(
        switch_kind(),
        default=True,
        text="List the files inside layers after a push, in a process of its own.",
    )
    statistics_days: int = setting(
        whole_kind(1, 3650), 400, "How many days of pull and push counts are kept."
    )


@dataclass(frozen=True, slots=True)
class Config:
    """The whole tree. `sources` names where each value came from, by key.

    `warnings` are lines for the operator, told once.
    """

    data: Path = setting(  # noqa: RUF009
        path_kind(),
        Path("data"),
        "Folder of everything that the server keeps; created when absent.",
        restart=True,
    )
    listen: Address = setting(  # noqa: RUF009
        address_kind(),
        Address("127.0.0.1", 5000),
        "Address and port to serve on; port 0 takes a free one.",
        restart=True,
    )
    workers: int = setting(
        whole_kind(0, 1024, "; 0 is one per core"), 0, "Number of worker processes.", restart=True
    )
    storage: str = setting(
        url_kind('"" (the data folder), file:///folder or memory:// (for tests)', *STORAGE_SCHEMES),
        "",
        "Where blobs are kept.",
        url=True,
        restart=True,
    )
    database: str = setting(
        url_kind(
            '"" (kho.db in the data folder), sqlite:////absolute/file or'
            " postgresql://user@host/name",
            *DATABASE_SCHEMES,
        ),
        "",
        "Where rows are kept.",
        url=True,
        restart=True,
    )
    http: HttpSettings = field(default_factory=HttpSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    uploads: UploadSettings = field(default_factory=UploadSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    ldap: LdapSettings = field(default_factory=LdapSettings)
    oidc: OidcSettings = field(default_factory=OidcSettings)
    token: TokenSettings = field(default_factory=TokenSettings)
    tls: TlsSettings = field(default_factory=TlsSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    log: LogSettings = field(default_factory=LogSettings)
    metrics: MetricSettings = field(default_factory=MetricSettings)
    index: IndexSettings = field(default_factory=IndexSettings)
    sources: dict[str, str] = field(default_factory=dict, compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @property
    def worker_count(self) -> int:
        """How many workers run: one per usable core when `workers` is 0."""
        if self.workers:
            return self.workers
        return 1 if self.storage.startswith("memory:") else usable_cores()

    @property
    def storage_url(self) -> str:
        """The storage's URL, with the default filled in."""
        return self.storage or "file://" + quote(str(self.data.absolute()))

    @property
    def database_url(self) -> str:
        """The database's URL, with the default filled in."""
        return self.database or f"sqlite:///{self.data.absolute() / 'kho.db'}"


SECTIONS: dict[str, type] = {
    "http": HttpSettings,
    "limits": LimitSettings,
    "uploads": UploadSettings,
    "auth": AuthSettings,
    "ldap": LdapSettings,
    "oidc": OidcSettings,
    "token": TokenSettings,
    "tls": TlsSettings,
    "audit": AuditSettings,
    "log": LogSettings,
    "metrics": MetricSettings,
    "index": IndexSettings,
}


def _declared(prefix: str, section: type) -> Iterator[Setting]:
    for one in fields(section):
        if "kind" in one.metadata:
            kind = cast("Kind", one.metadata["kind"])
            marks = (one.metadata["url"], one.metadata["restart"])
            yield Setting(prefix + one.name, kind, one.default, one.metadata["help"], *marks)


SETTINGS: dict[str, Setting] = {
    one.key: one
    for prefix, section in (("", Config), *((name + ".", part) for name, part in SECTIONS.items()))
    for one in _declared(prefix, section)
}


def usable_cores() -> int:
    """Cores that this process may use, by affinity and by the quota of its cgroup."""
    cores = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    return max(1, cores)


def value_of(config: Config, key: str) -> object:
    """The value of a setting by its key: `http.idle_seconds`."""
    section, _, name = key.rpartition(".")
    return getattr(getattr(config, section) if section else config, name)
