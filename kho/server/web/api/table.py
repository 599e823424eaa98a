"""THE TABLE OF THE API: operations under /api/v1."""

from typing import Final

from kho.server.web.route import Route

API: Final[tuple[Route, ...]] = ()
