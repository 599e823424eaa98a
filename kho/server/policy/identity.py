"""What a login proves, and what a bearer token says."""

from collections.abc import Mapping
from typing import NamedTuple

from kho.oci.scope import Scope
from kho.server.policy.access import Ceiling


class Identity(NamedTuple):
    """Who signed in, and how.

    `subject` is `user:NAME` or `robot:NAME`. `source` is local, htpasswd, ldap, oidc, workload or
    proxy. `credential` is the row of the access or refresh token that was shown; `ceiling` is its.
    `details` go to the audit trail.
    """

    subject: str
    source: str
    ceiling: Ceiling | None = None
    credential: int | None = None
    details: Mapping[str, object] | None = None


class Claims(NamedTuple):
    """A token that was verified. `expires_at` in seconds since the epoch.

    `subject` is empty for an anonymous token; `source` is `external` for another server's.
    `rule` is the trust rule that let a workload in.
    """

    subject: str
    source: str
    credential: int | None
    access: tuple[Scope, ...]
    expires_at: float
    rule: str | None = None
