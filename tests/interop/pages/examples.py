"""An address of every page, by its row of the URL table."""

from collections.abc import Mapping

from kho.server.web.request import Audience
from kho.server.web.route import Route
from kho.server.web.routes import ROUTES

# {first} and so on are digests of world.py.
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "/": ("/", "/?sort=size&visibility=private", "/?view=grouped", "/?q=nothing-like-it"),
    "/-/search": ("/-/search", "/-/search?q=debian", "/-/search?q=nothing-like-it"),
    "/-/storage": ("/-/storage", "/-/storage?namespace=team"),
    "/{name}": ("/team/debian", "/team/recipe", "/public/hello"),
    "/{name}/-/tags": (
        "/team/debian/-/tags",
        "/team/debian/-/tags?q=12*&sort=size",
        "/team/debian/-/tags?q=none",
    ),
    "/{name}/-/versions": ("/team/odd/-/versions", "/team/multi/-/versions?tagged=untagged"),
    "/{name}/-/history": ("/team/debian/-/history", "/team/debian/-/history?tag=latest"),
    "/{name}/-/activity": ("/team/debian/-/activity", "/team/debian/-/activity?which=pushes"),
    "/{name}/-/settings": ("/team/debian/-/settings",),
    "/{name}/-/settings/delete": ("/team/recipe/-/settings/delete",),
    "/{name}/-/delete": ("/team/debian/-/delete?tag=old&tag=12.1", "/team/debian/-/delete"),
    "/{name}/-/rollback": ("/team/debian/-/rollback?tag=latest&to={first}",),
    "/{name}/-/diff": (
        "/team/debian/-/diff",
        "/team/debian/-/diff?a=old&b=12",
        "/team/debian/-/diff?a=12&b=12",
    ),
    "/{name}/-/diff/file": (
        "/team/debian/-/diff/file?a=old&b=12&path=etc/hostname",
        "/team/debian/-/diff/file?a=old&b=12&path=srv/app/main.py",
    ),
    "/{name}:{tag}": (
        "/team/debian:12",
        "/team/debian:12?view=files",
        "/team/debian:12?view=files&path=etc/apt",
        "/team/debian:12?view=files&layer=11",
        "/team/debian:12?view=files&q=main.py",
        "/team/debian:12?view=waste",
        "/team/debian:12?view=config",
        "/team/debian:12?view=manifest",
        "/team/debian:12?view=attachments",
        "/team/multi:1.0",
        "/team/multi:1.0?platform=linux/arm64&view=files",
        "/team/odd:1?view=config",
        "/team/odd:1?view=config&reveal=1",
        "/team/odd:1?view=attachments",
        "/team/recipe:v1",
    ),
    "/{name}@{digest}": ("/team/debian@{first}", "/team/recipe@{chart}?view=manifest"),
    "/{name}:{tag}/-/file": (
        "/team/debian:12/-/file?path=etc/hostname",
        "/team/debian:12/-/file?path=bin/sh",
    ),
    "/{name}@{digest}/-/file": ("/team/debian@{second}/-/file?path=srv/app/main.py",),
    "/-/account": ("/-/account",),
    "/-/account/tokens": ("/-/account/tokens",),
    "/-/account/sessions": ("/-/account/sessions",),
    "/-/admin": ("/-/admin",),
    "/-/admin/users": ("/-/admin/users", "/-/admin/users?q=nobody"),
    "/-/admin/users/{user}": ("/-/admin/users/rita", "/-/admin/users/ada"),
    "/-/admin/groups": ("/-/admin/groups",),
    "/-/admin/groups/{group}": ("/-/admin/groups/web",),
    "/-/admin/robots": ("/-/admin/robots",),
    "/-/admin/robots/{robot}": ("/-/admin/robots/ci",),
    "/-/admin/tokens": ("/-/admin/tokens",),
    "/-/admin/trust": (
        "/-/admin/trust",
        "/-/admin/trust?preset=gitlab",
        "/-/admin/trust?preset=kubernetes",
    ),
    "/-/admin/trust/{rule}": ("/-/admin/trust/actions",),
    "/-/admin/roles": ("/-/admin/roles",),
    "/-/admin/grants": ("/-/admin/grants", "/-/admin/grants?subject=user:rita"),
    "/-/admin/repositories": ("/-/admin/repositories", "/-/admin/repositories?name=team/debian"),
    "/-/admin/access": (
        "/-/admin/access",
        "/-/admin/access?subject=user:rita&action=pull&repository=team/debian",
    ),
    "/-/admin/audit": ("/-/admin/audit", "/-/admin/audit?outcome=denied"),
    "/-/admin/configuration": ("/-/admin/configuration",),
    "/-/admin/health": ("/-/admin/health",),
    "/-/admin/keys": ("/-/admin/keys",),
    "/-/admin/maintenance": ("/-/admin/maintenance",),
    "/-/admin/maintenance/checks/{id}": ("/-/admin/maintenance/checks/1",),
    "/auth/login": ("/auth/login", "/auth/login?next=/team/debian"),
    "/auth/device": ("/auth/device", "/auth/device?user_code=ABCD-EFGH"),
    "/setup": ("/setup?code=wrong",),
}
# No pages of their own, and why.
ELSEWHERE: Mapping[str, str] = {
    "/-/admin/audit.csv": "a file to download",
    "/{name}:{tag}/-/raw": "a file to download",
    "/{name}@{digest}/-/raw": "a file to download",
    "/auth/oidc/login": "goes on to the sign-in service",
    "/auth/oidc/callback": "comes from the sign-in service",
}
# Answers of pages whose subject is not there.
STATUS: Mapping[str, int] = {
    "/setup?code=wrong": 410,
    "/auth/device?user_code=ABCD-EFGH": 404,
}


def page_routes() -> list[Route]:
    """The rows of the table that answer with pages."""
    return [one for one in ROUTES if one.audience is Audience.PEOPLE and one.method == "GET"]


def addresses() -> list[str]:
    """All examples."""
    return [one for route in page_routes() for one in EXAMPLES.get(route.template, ())]
