"""THE TABLE OF THE PAGES of images and their files."""

from typing import Final

from kho.server.policy.access import Action
from kho.server.resources import Resources
from kho.server.web.request import Answer, Audience, Request
from kho.server.web.route import Handler, Route
from kho.server.web.ui.images import diff, file, file_diff, files, image


def _page(template: str, handler: Handler) -> Route:
    return Route("page", "GET", template, Action.PULL, handler, Audience.PEOPLE, index=True)


async def _image(resources: Resources, request: Request) -> Answer:
    """One of its views."""
    if request.query("view") == "files":
        return await files.page(resources, request)
    return await image.page(resources, request)


IMAGE_PAGES: Final = (
    _page("/{name}/-/diff", diff.page),
    _page("/{name}/-/diff/file", file_diff.page),
    _page("/{name}:{tag}", _image),
    _page("/{name}@{digest}", _image),
    _page("/{name}:{tag}/-/file", file.view),
    _page("/{name}@{digest}/-/file", file.view),
    _page("/{name}:{tag}/-/raw", file.download),
    _page("/{name}@{digest}/-/raw", file.download),
)
