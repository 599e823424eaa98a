"""What `khod` and the pages do, the API does too, but for what is named here with its reason."""

from collections.abc import Iterator, Mapping

import click
import pytest

from kho.server.cli import main as khod
from kho.server.web.api.table import OPERATIONS
from kho.server.web.request import Audience
from kho.server.web.routes import ROUTES

# By operations of the API: a name of each.
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "access explain": ("explainAccess",),
    "audit": ("listEvents",),
    "config show": ("listSettings",),
    "fsck": ("startCheck", "showCheck", "stopCheck", "listChecks"),
    "grants add": ("addGrant",),
    "grants list": ("listGrants",),
    "grants remove": ("removeGrant",),
    "groups add": ("addGroup",),
    "groups add-member": ("addGroupMember",),
    "groups list": ("listGroups",),
    "groups remove": ("removeGroup",),
    "groups remove-member": ("removeGroupMember",),
    "groups show": ("showGroup",),
    "index rebuild": ("rebuildIndex", "showIndexing"),
    "keys list": ("listKeys",),
    "keys rotate": ("rotateKeys",),
    "openapi": ("openapi",),
    "repos list": ("listRepositories",),
    "repos set": ("changeSettings",),
    "repos show": ("showRepository", "showSettings"),
    "robots add": ("addRobot",),
    "robots create": ("addRobot",),
    "robots list": ("listRobots",),
    "robots remove": ("removeRobot",),
    "robots set": ("changeRobot",),
    "robots show": ("showRobot",),
    "roles add": ("addRole",),
    "roles list": ("listRoles",),
    "roles remove": ("removeRole",),
    "tokens add": ("addToken",),
    "tokens create": ("addToken",),
    "tokens list": ("listTokens",),
    "tokens remove": ("removeToken",),
    "tokens revoke": ("removeToken",),
    "trust add": ("addTrustRule",),
    "trust list": ("listTrustRules",),
    "trust remove": ("removeTrustRule",),
    "trust show": ("showTrustRule",),
    "trust test": ("tryToken",),
    "users add": ("addUser",),
    "users list": ("listUsers",),
    "users passwd": ("setUserPassword",),
    "users remove": ("removeUser",),
    "users set": ("changeUser",),
    "users show": ("showUser",),
}
NO_COMMANDS: Mapping[str, str] = {
    "config check": "reads files and variables that the server was not started with",
    "config docs": "prints a document of this program",
    "migrate": "before a server runs",
    "serve": "is the server",
    "tls init": "writes files of this machine",
    "tls show": "reads files of this machine",
}
# Method and template of every page.
PAGES: Mapping[str, tuple[str, ...]] = {
    "GET /": ("listRepositories", "listNamespaces"),
    "GET /-/account": ("showAccount", "whoami"),
    "POST /-/account/password": ("changePassword",),
    "GET /-/account/sessions": ("listOwnLogins",),
    "POST /-/account/sessions/end": ("endOwnLogin",),
    "POST /-/account/sessions/end-others": ("endOtherLogins",),
    "GET /-/account/tokens": ("listOwnTokens",),
    "POST /-/account/tokens": ("addOwnToken",),
    "POST /-/account/tokens/revoke": ("removeOwnToken",),
    "GET /-/admin": ("showCounts", "showStorage", "listEvents"),
    "GET /-/admin/access": ("explainAccess",),
    "GET /-/admin/audit": ("listEvents",),
    "GET /-/admin/audit.csv": ("listEvents",),
    "GET /-/admin/configuration": ("listSettings",),
    "GET /-/admin/grants": ("listGrants",),
    "POST /-/admin/grants": ("addGrant",),
    "POST /-/admin/grants/remove": ("removeGrant",),
    "GET /-/admin/groups": ("listGroups",),
    "POST /-/admin/groups": ("addGroup",),
    "GET /-/admin/groups/{group}": ("showGroup",),
    "POST /-/admin/groups/{group}": ("removeGroup", "addGroupMember", "removeGroupMember"),
    "GET /-/admin/health": ("showHealth",),
    "GET /-/admin/keys": ("listKeys",),
    "POST /-/admin/keys": ("rotateKeys",),
    "GET /-/admin/maintenance": ("listChecks", "showIndexing"),
    "GET /-/admin/maintenance/checks/{id}": ("showCheck",),
    "POST /-/admin/maintenance/checks": ("startCheck",),
    "POST /-/admin/maintenance/checks/{id}": ("stopCheck",),
    "POST /-/admin/maintenance/index": ("rebuildIndex",),
    "GET /-/admin/repositories": ("listRepositories", "showSettings"),
    "POST /-/admin/repositories": ("changeSettings",),
    "GET /-/admin/robots": ("listRobots",),
    "POST /-/admin/robots": ("addRobot",),
    "GET /-/admin/robots/{robot}": ("showRobot",),
    "POST /-/admin/robots/{robot}": ("changeRobot", "removeRobot"),
    "GET /-/admin/roles": ("listRoles",),
    "POST /-/admin/roles": ("addRole",),
    "POST /-/admin/roles/remove": ("removeRole",),
    "GET /-/admin/tokens": ("listTokens",),
    "POST /-/admin/tokens": ("addToken",),
    "POST /-/admin/tokens/revoke": ("removeToken",),
    "GET /-/admin/trust": ("listTrustRules",),
    "POST /-/admin/trust": ("addTrustRule",),
    "POST /-/admin/trust-trials": ("tryToken",),
    "GET /-/admin/trust/{rule}": ("showTrustRule",),
    "POST /-/admin/trust/{rule}": ("removeTrustRule",),
    "GET /-/admin/users": ("listUsers",),
    "POST /-/admin/users": ("addUser",),
    "GET /-/admin/users/{user}": ("showUser",),
    "POST /-/admin/users/{user}": ("changeUser", "setUserPassword", "removeUser"),
    "GET /-/search": ("search",),
    "GET /-/storage": ("showStorage",),
    "GET /{name}": ("showRepository", "showTraffic"),
    "GET /{name}/-/activity": ("listActivity",),
    "GET /{name}/-/delete": ("showDeletionImpact",),
    "POST /{name}/-/delete": ("deleteMany", "deleteTag", "deleteVersion"),
    "GET /{name}/-/diff": ("compareImages", "compareFiles"),
    "GET /{name}/-/diff/file": ("compareFiles", "readFile"),
    "GET /{name}/-/history": ("listMoves",),
    "GET /{name}/-/rollback": ("listMoves",),
    "POST /{name}/-/rollback": ("pointTag",),
    "GET /{name}/-/settings": ("showSettings",),
    "GET /{name}/-/settings/delete": ("showWhole",),
    "POST /{name}/-/settings/delete": ("deleteRepository",),
    "POST /{name}/-/settings/description": ("changeSettings",),
    "POST /{name}/-/settings/readme": ("writeReadme", "removeReadme"),
    "POST /{name}/-/settings/visibility": ("changeSettings",),
    "GET /{name}/-/tags": ("listTags",),
    "GET /{name}/-/versions": ("listVersions", "showVersion"),
    "GET /{name}:{tag}": ("showImage", "listFiles", "findFiles", "showWaste"),
    "GET /{name}:{tag}/-/file": ("readFile",),
    "GET /{name}:{tag}/-/raw": ("readFile",),
    "GET /{name}@{digest}": ("showImage", "listFiles", "findFiles", "showWaste"),
    "GET /{name}@{digest}/-/file": ("readFile",),
    "GET /{name}@{digest}/-/raw": ("readFile",),
}
NO_PAGES: Mapping[str, str] = {
    "POST /-/preferences": "a cookie of the browser",
    "GET /setup": "before there is an account",
    "POST /setup": "before there is an account",
    "GET /auth/login": "a person signs in",
    "POST /auth/login": "a person signs in",
    "POST /auth/logout": "ends the browser's own session",
    "GET /auth/oidc/login": "a person signs in",
    "GET /auth/oidc/callback": "a person signs in",
    "GET /auth/device": "a person decides, and no program for them",
    "POST /auth/device": "a person decides, and no program for them",
}


def commands(group: click.Group, before: str = "") -> Iterator[str]:
    """The leaves of a program."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, f"{before}{name} ")
        else:
            yield before + name


def test_every_command_is_in_the_api_or_says_why_not() -> None:
    assert isinstance(khod, click.Group)
    assert sorted(commands(khod)) == sorted([*COMMANDS, *NO_COMMANDS])


def test_every_page_is_in_the_api_or_says_why_not() -> None:
    pages = [f"{one.method} {one.template}" for one in ROUTES if one.audience is Audience.PEOPLE]
    assert sorted(pages) == sorted([*PAGES, *NO_PAGES])


@pytest.mark.parametrize("named", [COMMANDS, PAGES], ids=["commands", "pages"])
def test_the_operations_exist(named: Mapping[str, tuple[str, ...]]) -> None:
    known = {one.id for one in OPERATIONS}
    for what, operations in named.items():
        assert set(operations) <= known, what


def test_no_operation_is_for_nothing() -> None:
    used = {one for found in (*COMMANDS.values(), *PAGES.values()) for one in found}
    assert {one.id for one in OPERATIONS} == used
