"""Settings of who may come in, and how connections are kept private."""

from dataclasses import dataclass

from kho.server.setting import (
    choice_kind,
    duration_kind,
    file_kind,
    list_kind,
    secret_kind,
    setting,
    switch_kind,
    text_kind,
    url_kind,
)

ALGORITHMS = (
    *("ES256", "ES384", "ES512"),
    *("RS256", "RS384", "RS512"),
    *("PS256", "PS384", "PS512"),
    "EdDSA",
)

_TEXT = text_kind("a line of text")
_WEB = url_kind('https://host or http://host, or ""', "https", "http")


def _known_algorithm(name: str) -> None:
    if name not in ALGORITHMS:
        raise ValueError


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """Who may come in."""

    open: bool = setting(
        switch_kind(),
        default=False,
        text="Let everybody do everything while there is no account, on any address.",
        restart=True,
    )
    challenge: str = setting(
        choice_kind("bearer", "basic"),
        "bearer",
        "How clients sign in: with tokens of `/token`, or with the password each time.",
    )
    realm: str = setting(text_kind("a line of text", r'[^"\\]{1,256}'), "kho", "Realm of Basic.")
    service: str = setting(
        text_kind("letters, digits and . _ : / -", r"[A-Za-z0-9._:/-]{1,256}"),
        "kho",
        "The `service` of the tokens that khod issues.",
    )
    token_seconds: float = setting(
        duration_kind("s", 60, 3600), 300.0, "How long a token of `/token` is good."
    )
    refresh_hours: float = setting(
        duration_kind("h", 0, 8760),
        720.0,
        "How long a refresh token is good after its last use; 0 gives none.",
    )
    workload_hours: float = setting(
        duration_kind("h", 0, 24),
        1.0,
        "How long the refresh token of a CI job or another workload is good, used or not.",
    )
    password_seconds: float = setting(
        duration_kind("s", 0, 3600),
        60.0,
        "How long a worker remembers that a password was right.",
    )
    htpasswd: str = setting(
        file_kind(), "", "File of users with bcrypt hashes, as registry:2 has; re-read on change."
    )
    htpasswd_role: str = setting(
        choice_kind("none", "reader", "writer", "maintainer", "admin"),
        "none",
        "Role that every user of the htpasswd file has on every repository.",
    )


@dataclass(frozen=True, slots=True)
class LdapSettings:
    """Accounts of a directory (needs the extra `kho[ldap]`)."""

    url: str = setting(
        url_kind('ldap://host, ldaps://host or ""', "ldap", "ldaps"), "", "The directory."
    )
    start_tls: bool = setting(switch_kind(), default=True, text="Upgrade ldap:// to TLS first.")
    ca: str = setting(file_kind(), "", "Certificates that the directory's must chain to (PEM).")
    bind_dn: str = setting(_TEXT, "", "Who searches; empty for anonymous.")
    bind_password: str = setting(secret_kind(), "", "Password of `bind_dn`.", url=True)
    user_base: str = setting(_TEXT, "", "Where users are searched.")
    user_filter: str = setting(_TEXT, "(uid={username})", "Which entry is the user's.")
    group_base: str = setting(_TEXT, "", "Where groups are searched; empty for no groups.")
    group_filter: str = setting(_TEXT, "(member={dn})", "Which entries are groups of the user.")
    group_name: str = setting(_TEXT, "cn", "Attribute that names a group.")


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """People who sign in at an OpenID Connect provider."""

    issuer: str = setting(_WEB, "", "The provider.")
    client_id: str = setting(_TEXT, "", "What khod is called at the provider.")
    client_secret: str = setting(
        secret_kind(), "", "Its secret; empty for a public client.", url=True
    )
    scopes: str = setting(_TEXT, "openid profile email", "Scopes that are asked for.")
    username_claim: str = setting(_TEXT, "preferred_username", "Claim that names the user.")
    groups_claim: str = setting(_TEXT, "groups", "Claim that lists the user's groups.")
    admin_group: str = setting(_TEXT, "", "Members of this group are administrators.")
    label: str = setting(_TEXT, "Single sign-on", "The text on the button.")


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """An external token server, in place of the built-in one (registry:2's `auth.token`)."""

    realm: str = setting(_WEB, "", "Its URL; given, khod believes its tokens and issues none.")
    service: str = setting(_TEXT, "", "The audience that tokens must name.")
    issuer: str = setting(_TEXT, "", "The issuer that tokens must name.")
    rootcertbundle: str = setting(file_kind(), "", "Certificates that sign tokens (PEM).")
    jwks: str = setting(file_kind(), "", "Keys that sign tokens (JWKS).")
    algorithms: tuple[str, ...] = setting(
        list_kind("a list of " + ", ".join(ALGORITHMS), _known_algorithm),
        ALGORITHMS,
        "Signature algorithms that are believed.",
    )


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Certificates."""

    cert: str = setting(file_kind(), "", "Certificate chain (PEM); reloaded when it changes.")
    key: str = setting(file_kind(), "", "Its key (PEM: PKCS#8, PKCS#1 or SEC1), not encrypted.")
    minimum: str = setting(choice_kind("1.2", "1.3"), "1.2", "Oldest version of TLS.")
    client_ca: str = setting(file_kind(), "", "Certificates that clients' must chain to (PEM).")
    client_auth: str = setting(
        choice_kind("required", "optional"),
        "required",
        "Whether a client without a certificate is refused, where `client_ca` is given.",
    )
    acme_folder: str = setting(
        file_kind(),
        "",
        "Folder whose files are served at `/.well-known/acme-challenge/` (certbot's webroot).",
    )
    http_listen: str = setting(
        text_kind(
            'HOST:PORT, for example 0.0.0.0:80, or ""',
            r"|(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}",
        ),
        "",
        "A second address, for plain HTTP: challenges of ACME, and redirects to https.",
        restart=True,
    )


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """The trail of who did what."""

    keep_days: float = setting(
        duration_kind("d", 0, 36500), 365.0, "How long events are kept; 0 is for ever."
    )
