"""REGISTRY_* variables: what they become, what is wrong, what is told."""

from pathlib import Path
from typing import Any

import pytest

from kho.server.config import load
from kho.server.setting import Address
from kho.server.settings import Config
from tests.server.registry_two import changes, environment, mistakes


@pytest.mark.parametrize(
    "variables, expected",
    [
        ("HTTP_ADDR=localhost:7000", {"listen": Address("localhost", 7000)}),
        ("HTTP_ADDR=", {}),
        ("HTTP_ADDR='[::1]:7000'", {"listen": Address("::1", 7000)}),
        ("HTTP_HOST=https://hub.example.com/", {"http.public_url": "https://hub.example.com"}),
        ("HTTP_DRAINTIMEOUT=60s", {"http.drain_seconds": 60.0}),
        ("HTTP_DRAINTIMEOUT=1.5m0.5s", {"http.drain_seconds": 90.5}),
        ("HTTP_DRAINTIMEOUT=2000000000", {"http.drain_seconds": 2.0}),
        ("HTTP_DRAINTIMEOUT=0", {"http.drain_seconds": 0.0}),
        ("HTTP_TLS={certificate: /c, key: /k}", {"tls.cert": "/c", "tls.key": "/k"}),
        ("HTTP_TLS_CLIENTCAS=[/ca]", {"tls.client_ca": "/ca"}),
        ("HTTP_TLS_CLIENTCAS_0=/ca", {"tls.client_ca": "/ca"}),
        ("HTTP_TLS_CLIENTAUTH=require-and-verify-client-cert", {}),
        ("HTTP_TLS_MINIMUMTLS=tls1.2", {}),
        ("HTTP_NET=tcp HTTP_PREFIX=/", {}),
        ("LOG_LEVEL=warn", {"log.level": "warning"}),
        ("LOGLEVEL=DEBUG", {"log.level": "debug"}),
        ("LOG_ACCESSLOG_DISABLED=true", {"log.access": False}),
        ("LOG_ACCESSLOG_DISABLED=no", {}),
        ("STORAGE=inmemory", {"storage": "memory://", "workers": 1}),
        ("STORAGE_INMEMORY=", {"storage": "memory://", "workers": 1}),
        (
            "STORAGE_FILESYSTEM_ROOTDIRECTORY=/data",
            {"storage": "file:///data", "data": Path("/data")},
        ),
        (
            "STORAGE=filesystem STORAGE_DELETE_ENABLED=true",
            {"storage": "file:///var/lib/registry", "data": Path("/var/lib/registry")},
        ),
        ("CATALOG_MAXENTRIES=10", {"limits.page": 10}),
        ("CATALOG_MAXENTRIES=10 TAGS_MAXTAGS=20", {"limits.page": 20}),
        ("STORAGE_MAINTENANCE_UPLOADPURGING_AGE=168h", {}),
        ("STORAGE_MAINTENANCE_UPLOADPURGING_AGE=90m", {"uploads.expire_hours": 1.5}),
        (
            "AUTH_HTPASSWD_PATH=/h",
            {"auth.challenge": "basic", "auth.htpasswd": "/h", "auth.htpasswd_role": "maintainer"},
        ),
        (
            "AUTH_HTPASSWD_PATH=/h STORAGE_DELETE_ENABLED=false AUTH=htpasswd",
            {"auth.challenge": "basic", "auth.htpasswd": "/h", "auth.htpasswd_role": "writer"},
        ),
        (
            (
                "AUTH=token AUTH_TOKEN_REALM=https://a.example/token AUTH_TOKEN_SERVICE=s"
                " AUTH_TOKEN_ISSUER=i AUTH_TOKEN_ROOTCERTBUNDLE=/r AUTH_TOKEN_JWKS=/j"
                " AUTH_TOKEN_SIGNINGALGORITHMS_0=ES256 AUTH_TOKEN_SIGNINGALGORITHMS_1=RS256"
            ),
            {
                "token.realm": "https://a.example/token",
                "token.service": "s",
                "token.issuer": "i",
                "token.rootcertbundle": "/r",
                "token.jwks": "/j",
                "token.algorithms": ("ES256", "RS256"),
            },
        ),
    ],
)
def test_variables(variables: str, expected: dict[str, Any]) -> None:
    assert changes(load({}, environment(variables))) == expected


@pytest.mark.parametrize(
    "variables, named",
    [
        ("HTTP_ADDR=5000", "listen (environment REGISTRY_HTTP_ADDR): '5000' is not allowed"),
        ("HTTP_ADDR=[a, b]", "http.addr (environment REGISTRY_HTTP_ADDR): allowed is text"),
        ("HTTP_ADDR={", "http.addr (environment REGISTRY_HTTP_ADDR): the value is not YAML"),
        ("HTTP_DRAINTIMEOUT=soon", 'allowed is a duration such as "30s"'),
        ("HTTP_DRAINTIMEOUT=-1s", 'allowed is a duration such as "30s"'),
        ("HTTP_DRAINTIMEOUT=100h", "is not allowed; allowed is seconds"),
        ("HTTP_HOST=hub.example.com", "http.public_url (environment REGISTRY_HTTP_HOST)"),
        ("HTTP_NET=unix", "http.net (environment REGISTRY_HTTP_NET): khod listens on TCP only"),
        ("HTTP_PREFIX=/hub/", "http.prefix (environment REGISTRY_HTTP_PREFIX): khod serves at"),
        ("HTTP_TLS_LETSENCRYPT_EMAIL=a@b.example", "for example from certbot"),
        ("HTTP_TLS_CLIENTCAS=[/a, /b]", "allowed is one file"),
        ("HTTP_TLS_CLIENTCAS_1=/a", "'1' is no index here; allowed are 0 to 0"),
        ("HTTP_TLS_CLIENTAUTH=request-client-cert", "allowed is one of require-and-verify"),
        ("HTTP_TLS_MINIMUMTLS=ssl3", "allowed is one of tls1.0"),
        ("LOG_LEVEL=loud", "log.level (environment REGISTRY_LOG_LEVEL): 'loud' is not allowed"),
        ("LOG_ACCESSLOG_DISABLED=perhaps", "allowed is true or false"),
        ("STORAGE=s3", "storage.s3 (environment REGISTRY_STORAGE): is not available yet"),
        ("STORAGE_S3_BUCKET=b", "storage.s3 (environment REGISTRY_STORAGE_S3_BUCKET)"),
        ("STORAGE=azure", "allowed are filesystem and inmemory"),
        ("STORAGE_INMEMORY= STORAGE_FILESYSTEM_ROOTDIRECTORY=/a", "cannot be used together"),
        ("STORAGE_FILESYSTEM_ROOTDIRECTORY=[/a]", "allowed is text"),
        ("STORAGE_DELETE_ENABLED=2", "storage.delete.enabled (environment"),
        ("CATALOG_MAXENTRIES=0", "allowed is a whole number above 0"),
        ("AUTH=silly", "auth.silly (environment REGISTRY_AUTH): is not available; allowed"),
        ("AUTH=none", "allowed are htpasswd, token, or no auth at all"),
        ("AUTH=htpasswd", "auth.htpasswd.path (environment REGISTRY_AUTH): is missing"),
        ("AUTH=token AUTH_TOKEN_REALM=https://a/", "auth.token.issuer (environment"),
        ("AUTH_HTPASSWD_PATH=/h AUTH_TOKEN_REALM=https://a/", "cannot be used together"),
        ("AUTH=[htpasswd]", "auth (environment REGISTRY_AUTH): allowed is a map of settings"),
        ("PROXY_REMOTEURL=https://a.example", "a mirror of another registry is not available yet"),
    ],
)  # fmt: skip
def test_mistakes_in_variables(variables: str, named: str, tmp_path: Path) -> None:
    assert any(named in one for one in mistakes(None, tmp_path, environment(variables)))


@pytest.mark.parametrize(
    "variables, told",
    [
        ("HTTP_TLS_MINIMUMTLS=tls1.0", "http.tls.minimumtls: tls1.0 is too old"),
        ("LOG_FORMATTER=logstash", "log.formatter: logstash is json here"),
        ("STORAGE_MAINTENANCE_READONLY_ENABLED=true", "WRITES ARE ACCEPTED"),
        ("STORAGE_DELETE_ENABLED=false", "has no meaning here: who may delete"),
        ("TAGS_MAXTAGS=20000", "pages of 20000 entries are too long; 10000 it is"),
        ("COLOUR=c4n4ry", "no settings of registry:2, ignored: REGISTRY_COLOUR"),
        ("HTTP_COLOUR=c4n4ry", "no settings of registry:2, ignored: REGISTRY_HTTP_COLOUR"),
        ("HTTP_=c4n4ry", "no settings of registry:2, ignored: REGISTRY_HTTP_"),
        ("PASSWORD=%c4n4ry", "no settings of registry:2, ignored: REGISTRY_PASSWORD"),
        ("HTTP_SECRET=c4n4ry", "are ignored: http.secret"),
        ("NOTIFICATIONS_ENDPOINTS_0_URL=https://c4n4ry", "are ignored: notifications"),
        ("VALIDATION_DISABLED=true", "are ignored: validation"),
        ("PROXY_USERNAME=c4n4ry", "are ignored: proxy"),
    ],
)  # fmt: skip
def test_warnings(variables: str, told: str) -> None:
    (warning,) = load({}, environment(variables)).warnings
    assert told in warning
    assert "c4n4ry" not in warning


@pytest.mark.parametrize(
    "name", ["AUTH_FILE", "PORT", "PORT_5000_TCP_ADDR", "SERVICE_HOST", "SERVICE_PORT_HTTP"]
)
def test_variables_of_others_are_left_alone(name: str) -> None:
    config = load({}, {f"REGISTRY_{name}": "tcp://10.0.0.1:5000"})
    assert config == Config()
    assert config.warnings == ()
