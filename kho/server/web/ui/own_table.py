"""Rows of the table of the pages: one's own account, and administration."""

from typing import Final

from kho.server.policy.access import Action
from kho.server.web.request import Audience
from kho.server.web.route import Handler, Route
from kho.server.web.ui import account
from kho.server.web.ui.admin import (
    audit,
    grants,
    groups,
    maintenance,
    registry,
    repositories,
    robots,
    roles,
    tokens,
    trust,
    users,
)


def _row(action: Action, method: str, template: str, handler: Handler) -> Route:
    return Route("page", method, template, action, handler, Audience.PEOPLE, index=True)


def _own(template: str, handler: Handler, method: str = "POST") -> Route:
    return _row(Action.ACCOUNT, method, f"/-/account{template}", handler)


def _admin(template: str, handler: Handler, method: str = "GET") -> Route:
    return _row(Action.ADMIN, method, f"/-/admin{template}", handler)


OWN_PAGES: Final = (
    _own("", account.profile, "GET"),
    _own("/password", account.change_password),
    _own("/tokens", account.tokens, "GET"),
    _own("/tokens", account.add_token),
    _own("/tokens/revoke", account.revoke_token),
    _own("/sessions", account.sessions, "GET"),
    _own("/sessions/end", account.end_session),
    _own("/sessions/end-others", account.end_others),
    _admin("", registry.dashboard),
    _admin("/users", users.users),
    _admin("/users", users.add, "POST"),
    _admin("/users/{user}", users.user),
    _admin("/users/{user}", users.change, "POST"),
    _admin("/groups", groups.groups),
    _admin("/groups", groups.add, "POST"),
    _admin("/groups/{group}", groups.group),
    _admin("/groups/{group}", groups.change, "POST"),
    _admin("/robots", robots.robots),
    _admin("/robots", robots.add, "POST"),
    _admin("/robots/{robot}", robots.robot),
    _admin("/robots/{robot}", robots.change, "POST"),
    _admin("/tokens", tokens.tokens),
    _admin("/tokens", tokens.add, "POST"),
    _admin("/tokens/revoke", tokens.revoke, "POST"),
    _admin("/trust", trust.rules),
    _admin("/trust", trust.add, "POST"),
    _admin("/trust/{rule}", trust.rule),
    _admin("/trust/{rule}", trust.remove, "POST"),
    _admin("/trust-trials", trust.test, "POST"),
    _admin("/roles", roles.roles),
    _admin("/roles", roles.add, "POST"),
    _admin("/roles/remove", roles.remove, "POST"),
    _admin("/grants", grants.grants),
    _admin("/grants", grants.add, "POST"),
    _admin("/grants/remove", grants.remove, "POST"),
    _admin("/repositories", repositories.repositories),
    _admin("/repositories", repositories.change, "POST"),
    _admin("/access", repositories.access),
    _admin("/audit", audit.audit),
    _admin("/audit.csv", audit.download),
    _admin("/configuration", registry.configuration),
    _admin("/health", registry.health),
    _admin("/maintenance", maintenance.maintenance),
    _admin("/maintenance/checks", maintenance.start, "POST"),
    _admin("/maintenance/checks/{id}", maintenance.check),
    _admin("/maintenance/checks/{id}", maintenance.stop, "POST"),
    _admin("/maintenance/index", maintenance.rebuild, "POST"),
    _admin("/keys", registry.keys),
    _admin("/keys", registry.rotate, "POST"),
)
