"""THE TABLE OF THE PAGES."""

from typing import Final

from kho.server.web.route import Route

PAGES: Final[tuple[Route, ...]] = ()
