"""Configurations of registry:2 as its documentation has them, and what khod makes of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kho.server.config import ConfigError, load
from kho.server.settings import SETTINGS, Config, value_of

TLS_EXAMPLE = {
    "REGISTRY_HTTP_ADDR": "0.0.0.0:443",
    "REGISTRY_HTTP_TLS_CERTIFICATE": "/certs/domain.crt",
    "REGISTRY_HTTP_TLS_KEY": "/certs/domain.key",
}
BASIC_EXAMPLE = {
    "REGISTRY_AUTH": "htpasswd",
    "REGISTRY_AUTH_HTPASSWD_REALM": "Registry Realm",
    "REGISTRY_AUTH_HTPASSWD_PATH": "/auth/htpasswd",
}
OF_IMAGE_2 = """\
version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
"""
OF_IMAGE_3 = OF_IMAGE_2.replace(
    "cache:\n    blobdescriptor: inmemory", "tag:\n    concurrencylimit: 8"
)
WHOLE = """\
version: 0.1
log:
  accesslog:
    disabled: true
  level: debug
  formatter: text
  fields:
    service: registry
    environment: staging
  hooks:
    - type: mail
      levels: [panic]
      options: {smtp: {addr: mail.example.com:25, username: mailuser, password: c4n4ry}}
storage:
  filesystem:
    rootdirectory: /srv/registry blobs
    maxthreads: 100
  delete:
    enabled: false
  redirect:
    disable: false
  cache:
    blobdescriptor: redis
    blobdescriptorsize: 10000
  maintenance:
    uploadpurging:
      enabled: true
      age: 36h
      interval: 24h
      dryrun: false
    readonly:
      enabled: false
  tag:
    concurrencylimit: 5
auth:
  htpasswd:
    realm: basic-realm
    path: /path/to/htpasswd
middleware:
  registry:
    - name: ARegistryMiddleware
      options: {foo: bar}
http:
  addr: localhost:5000
  net: tcp
  prefix: /
  host: https://myregistryaddress.org:5000/
  secret: c4n4ry
  relativeurls: false
  draintimeout: 1m30s
  tls:
    certificate: /path/to/x509/public
    key: /path/to/x509/private
    clientcas:
      - /path/to/ca.pem
    clientauth: verify-client-cert-if-given
    minimumtls: tls1.3
    ciphersuites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]
    letsencrypt:
  debug:
    addr: localhost:5001
    prometheus: {enabled: true, path: /metrics}
  headers:
    X-Content-Type-Options: [nosniff]
  http2: {disabled: false}
  h2c: {enabled: false}
notifications:
  events: {includereferences: true}
  endpoints:
    - name: alistener
      url: https://user:c4n4ry@my.listener.com/event
      headers: {Authorization: [c4n4ry]}
      timeout: 1s
redis:
  addrs: [localhost:16379]
  password: c4n4ry
health:
  file: [{file: /path/to/checked/file, interval: 10s}]
proxy:
  username:
  password:
validation:
  manifests:
    urls:
      allow: ['^https?://([^/]+\\.)*example\\.com/']
catalog:
  maxentries: 500
tags:
  maxtags: 20000
policy:
  repository:
    classes: [image]
"""


def changes(config: Config) -> dict[str, Any]:
    """What is not a default, by key."""
    return {
        key: value_of(config, key)
        for key, one in SETTINGS.items()
        if value_of(config, key) != one.default
    }


def read(text: str | bytes, folder: Path, **environ: str) -> Config:
    (folder / "config.yml").write_bytes(text.encode() if isinstance(text, str) else text)
    return load({"registry_config": str(folder / "config.yml")}, environ)


def mistakes(text: str | None, folder: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    flags: dict[str, object] = {}
    if text is not None:
        (folder / "config.yml").write_text(text)
        flags["registry_config"] = str(folder / "config.yml")
    with pytest.raises(ConfigError) as caught:
        load(flags, environ or {})
    return [str(one).replace(str(folder), "") for one in caught.value.problems]


def environment(variables: str) -> dict[str, str]:
    """`A=1 B={a: b}` as variables of registry:2."""
    found: dict[str, str] = {}
    for word in variables.split(" "):
        name, sign, value = word.partition("=")
        if sign and name.isupper():
            found[last := "REGISTRY_" + name] = value
        else:
            found[last] += " " + word
    return found
