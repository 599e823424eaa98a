"""THE TABLE OF THE PAGES about repositories."""

from typing import Final

from kho.server.policy.access import Action
from kho.server.web.request import Audience
from kho.server.web.route import Handler, Route
from kho.server.web.ui import home, search, storage
from kho.server.web.ui.repositories import (
    activity,
    deletion,
    history,
    overview,
    repository_settings,
    rollback,
    tags,
    versions,
)


def _page(template: str, action: Action, handler: Handler, method: str = "GET") -> Route:
    return Route("page", method, template, action, handler, Audience.PEOPLE, index=True)


REPOSITORY_PAGES: Final = (
    _page("/", Action.BROWSE, home.page),
    _page("/-/search", Action.BROWSE, search.page),
    _page("/-/storage", Action.BROWSE, storage.page),
    _page("/{name}", Action.PULL, overview.page),
    _page("/{name}/-/tags", Action.PULL, tags.page),
    _page("/{name}/-/versions", Action.PULL, versions.page),
    _page("/{name}/-/history", Action.PULL, history.page),
    _page("/{name}/-/activity", Action.PULL, activity.page),
    _page("/{name}/-/delete", Action.DELETE, deletion.ask),
    _page("/{name}/-/delete", Action.DELETE, deletion.delete, "POST"),
    _page("/{name}/-/settings", Action.SETTINGS, repository_settings.page),
    _page("/{name}/-/settings/description", Action.SETTINGS, repository_settings.describe, "POST"),
    _page("/{name}/-/settings/readme", Action.SETTINGS, repository_settings.readme, "POST"),
    _page("/{name}/-/settings/visibility", Action.SETTINGS, repository_settings.visibility, "POST"),
    _page("/{name}/-/settings/delete", Action.SETTINGS, repository_settings.ask_end),
    _page("/{name}/-/settings/delete", Action.SETTINGS, repository_settings.end, "POST"),
    _page("/{name}/-/rollback", Action.PUSH, rollback.ask),
    _page("/{name}/-/rollback", Action.PUSH, rollback.restore, "POST"),
)
