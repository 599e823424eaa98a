"""THE URL TABLE: method, path, action asked, handler.

Repository names may hold `blobs`, `manifests`, `tags` as components (`foo/manifests/bar` is legal),
so a path is matched from its right end:

    /v2/<name>/blobs/uploads/<id>     the last two before <id> are blobs/uploads
    /v2/<name>/<noun>/<last>          the last but one is blobs, manifests or referrers
    /v2/<name>/tags/list              the last two

What belongs to the index stands in tables of its own: api/table.py, ui/table.py.
"""

from typing import Final

from kho.server import metrics
from kho.server.policy.access import Action
from kho.server.web import acme, device, health, setup, sign_in, token, v1
from kho.server.web.api.table import API
from kho.server.web.paths import Paths
from kho.server.web.request import Audience
from kho.server.web.route import Route
from kho.server.web.ui.table import PAGES
from kho.server.web.v2 import blobs, catalog, manifests, referrers, root, tags, uploads

_PEOPLE: Final = Audience.PEOPLE
_BLOB: Final = "/v2/{name}/blobs/{digest}"
_UPLOADS: Final = "/v2/{name}/blobs/uploads/"
_UPLOAD: Final = "/v2/{name}/blobs/uploads/{upload}"
_MANIFEST: Final = "/v2/{name}/manifests/{reference}"
_TAGS: Final = "/v2/{name}/tags/list"
_REFERRERS: Final = "/v2/{name}/referrers/{digest}"
_CHALLENGE: Final = "/.well-known/acme-challenge/{token}"

ROUTES: Final = (
    Route("healthz", "GET", "/healthz", Action.OPERATE, health.live),
    Route("readyz", "GET", "/readyz", Action.OPERATE, health.ready),
    Route("metrics", "GET", "/metrics", Action.METRICS, health.metrics),
    Route("acme", "GET", _CHALLENGE, Action.SIGN_IN, acme.get),
    Route("token", "GET", "/token", Action.SIGN_IN, token.get),
    Route("token", "POST", "/token", Action.SIGN_IN, token.post),
    Route("jwks", "GET", "/token/jwks.json", Action.OPERATE, token.jwks),
    Route("setup", "GET", "/setup", Action.SIGN_IN, setup.ask, _PEOPLE),
    Route("setup", "POST", "/setup", Action.SIGN_IN, setup.redeem, _PEOPLE),
    Route("login", "GET", "/auth/login", Action.SIGN_IN, sign_in.login_page, _PEOPLE),
    Route("login", "POST", "/auth/login", Action.SIGN_IN, sign_in.login, _PEOPLE),
    Route("logout", "POST", "/auth/logout", Action.SIGN_IN, sign_in.logout, _PEOPLE),
    Route("session", "GET", "/auth/session", Action.SIGN_IN, sign_in.session),
    Route("oidc", "GET", "/auth/oidc/login", Action.SIGN_IN, sign_in.provider_login, _PEOPLE),
    Route("oidc", "GET", "/auth/oidc/callback", Action.SIGN_IN, sign_in.provider_callback, _PEOPLE),
    Route("device", "GET", "/auth/device", Action.SIGN_IN, device.ask, _PEOPLE),
    Route("device", "POST", "/auth/device", Action.SIGN_IN, device.decide, _PEOPLE),
    Route("device", "POST", "/auth/device/code", Action.SIGN_IN, device.code),
    Route("root", "GET", "/v2/", Action.PING, root.ping),
    Route("extensions", "GET", "/v2/_oci/ext/discover", Action.PING, root.extensions),
    Route("catalog", "GET", "/v2/_catalog", Action.CATALOG, catalog.page),
    Route("blob", "GET", _BLOB, Action.PULL, blobs.get),
    Route("blob", "DELETE", _BLOB, Action.DELETE, blobs.delete),
    Route("uploads", "POST", _UPLOADS, Action.PUSH, uploads.start),
    Route("upload", "GET", _UPLOAD, Action.PUSH, uploads.status),
    Route("upload", "PATCH", _UPLOAD, Action.PUSH, uploads.append),
    Route("upload", "PUT", _UPLOAD, Action.PUSH, uploads.finish),
    Route("upload", "DELETE", _UPLOAD, Action.PUSH, uploads.cancel),
    Route("manifest", "GET", _MANIFEST, Action.PULL, manifests.get),
    Route("manifest", "PUT", _MANIFEST, Action.PUSH, manifests.put),
    Route("manifest", "DELETE", _MANIFEST, Action.DELETE, manifests.delete),
    Route("tags", "GET", _TAGS, Action.PULL, tags.page),
    Route("referrers", "GET", _REFERRERS, Action.PULL, referrers.page),
    Route("search", "GET", "/v1/search", Action.BROWSE, v1.search, index=True),
    Route("search", "GET", "/v1/_ping", Action.OPERATE, v1.ping, index=True),
    *API,
    *PAGES,
)


def _index() -> dict[str, dict[str, Route]]:
    """Template to method to row; HEAD goes where GET goes."""
    table: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        methods = table.setdefault(route.template, {})
        methods[route.method] = route
        if route.method == "GET":
            methods["HEAD"] = route
    return table


TABLE: Final = _index()
metrics.declare_routes(sorted({route.name for route in ROUTES}))
_NOUNS: Final = {
    "blobs": (_BLOB, "digest"),
    "manifests": (_MANIFEST, "reference"),
    "referrers": (_REFERRERS, "digest"),
}
_FIXED: Final = {template: template for template in TABLE if "{" not in template} | {"/v2": "/v2/"}
_INDEX: Final = Paths(route.template for route in (*API, *PAGES))


def match(path: str) -> tuple[str, dict[str, str]] | None:
    """Find the template of a decoded path, and the text of its parts; None for no such path."""
    fixed = _FIXED.get(path)
    if fixed is not None:
        return fixed, {}
    if not path.startswith("/v2/"):
        last = path.removeprefix(acme.PREFIX)
        if last != path:
            return (_CHALLENGE, {"token": last}) if "/" not in last else None
        return _INDEX.match(path)
    head, _, last = path[len("/v2/") :].rpartition("/")
    name, _, noun = head.rpartition("/")
    if noun == "uploads" and name.endswith("/blobs"):
        name = name.removesuffix("/blobs")
        found = (_UPLOAD, {"name": name, "upload": last}) if last else (_UPLOADS, {"name": name})
    elif (noun, last) == ("blobs", "uploads"):
        found = _UPLOADS, {"name": name}
    elif (noun, last) == ("tags", "list"):
        found = _TAGS, {"name": name}
    elif noun in _NOUNS:
        template, part = _NOUNS[noun]
        found = template, {"name": name, part: last}
    else:
        return None
    return found if name else None
