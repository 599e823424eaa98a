"""THE TABLE OF THE PAGES."""

from typing import Final

from kho.server.policy.access import Action
from kho.server.web.request import Audience
from kho.server.web.route import Route
from kho.server.web.ui import preferences, static
from kho.server.web.ui.image_table import IMAGE_PAGES
from kho.server.web.ui.own_table import OWN_PAGES
from kho.server.web.ui.repository_table import REPOSITORY_PAGES

PAGES: Final = (
    Route("static", "GET", "/-/static/{mark}/{file}", Action.OPERATE, static.get),
    Route("static", "GET", "/favicon.ico", Action.OPERATE, static.icon),
    Route("static", "GET", "/robots.txt", Action.OPERATE, static.robots),
    Route("page", "POST", "/-/preferences", Action.SIGN_IN, preferences.keep, Audience.PEOPLE),
    *OWN_PAGES,
    *REPOSITORY_PAGES,
    *IMAGE_PAGES,
)
