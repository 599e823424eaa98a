"""Rows of the table of the pages: one's own account, and administration."""

from typing import Final

from kho.server.policy.access import Action
from kho.server.web.request import Audience
from kho.server.web.route import Handler, Route
from kho.server.web.ui import (
    account,
    admin_audit,
    admin_grants,
    admin_groups,
    admin_maintenance,
    admin_registry,
    admin_repositories,
    admin_robots,
    admin_roles,
    admin_tokens,
    admin_trust,
    admin_users,
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
    _admin("", admin_registry.dashboard),
    _admin("/users", admin_users.users),
    _admin("/users", admin_users.add, "POST"),
    _admin("/users/{user}", admin_users.user),
    _admin("/users/{user}", admin_users.change, "POST"),
    _admin("/groups", admin_groups.groups),
    _admin("/groups", admin_groups.add, "POST"),
    _admin("/groups/{group}", admin_groups.group),
    _admin("/groups/{group}", admin_groups.change, "POST"),
    _admin("/robots", admin_robots.robots),
    _admin("/robots", admin_robots.add, "POST"),
    _admin("/robots/{robot}", admin_robots.robot),
    _admin("/robots/{robot}", admin_robots.change, "POST"),
    _admin("/tokens", admin_tokens.tokens),
    _admin("/tokens", admin_tokens.add, "POST"),
    _admin("/tokens/revoke", admin_tokens.revoke, "POST"),
    _admin("/trust", admin_trust.rules),
    _admin("/trust", admin_trust.add, "POST"),
    _admin("/trust/{rule}", admin_trust.rule),
    _admin("/trust/{rule}", admin_trust.remove, "POST"),
    _admin("/trust-trials", admin_trust.test, "POST"),
    _admin("/roles", admin_roles.roles),
    _admin("/roles", admin_roles.add, "POST"),
    _admin("/roles/remove", admin_roles.remove, "POST"),
    _admin("/grants", admin_grants.grants),
    _admin("/grants", admin_grants.add, "POST"),
    _admin("/grants/remove", admin_grants.remove, "POST"),
    _admin("/repositories", admin_repositories.repositories),
    _admin("/repositories", admin_repositories.change, "POST"),
    _admin("/access", admin_repositories.access),
    _admin("/audit", admin_audit.audit),
    _admin("/audit.csv", admin_audit.download),
    _admin("/configuration", admin_registry.configuration),
    _admin("/health", admin_registry.health),
    _admin("/maintenance", admin_maintenance.maintenance),
    _admin("/maintenance/checks", admin_maintenance.start, "POST"),
    _admin("/maintenance/checks/{id}", admin_maintenance.check),
    _admin("/maintenance/checks/{id}", admin_maintenance.stop, "POST"),
    _admin("/maintenance/index", admin_maintenance.rebuild, "POST"),
    _admin("/keys", admin_registry.keys),
    _admin("/keys", admin_registry.rotate, "POST"),
)
