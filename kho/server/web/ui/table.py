"""THE TABLE OF THE PAGES."""

from typing import Final

from kho.server.policy.access import Action
from kho.server.web.request import Audience
from kho.server.web.route import Handler, Route
from kho.server.web.ui import activity, history, home, preferences, static, tags, versions
from kho.server.web.ui.image_table import IMAGE_PAGES
from kho.server.web.ui.own_table import OWN_PAGES


def _page(template: str, action: Action, handler: Handler, method: str = "GET") -> Route:
    return Route("page", method, template, action, handler, Audience.PEOPLE, index=True)


PAGES: Final = (
    Route("static", "GET", "/-/static/{mark}/{file}", Action.OPERATE, static.get),
    Route("static", "GET", "/favicon.ico", Action.OPERATE, static.icon, index=True),
    Route("static", "GET", "/robots.txt", Action.OPERATE, static.robots),
    _page("/", Action.BROWSE, home.page),
    Route("page", "POST", "/-/preferences", Action.SIGN_IN, preferences.keep, Audience.PEOPLE),
    *OWN_PAGES,
    *IMAGE_PAGES,
    _page("/{name}/-/tags", Action.PULL, tags.page),
    _page("/{name}/-/versions", Action.PULL, versions.page),
    _page("/{name}/-/history", Action.PULL, history.page),
    _page("/{name}/-/activity", Action.PULL, activity.page),
)
