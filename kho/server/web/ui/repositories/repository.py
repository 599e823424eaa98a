"""What all pages of one repository share: where one is, and the tabs."""

from urllib.parse import urlencode

from kho.server.index.catalogue import activity
from kho.server.policy.access import Action, allowed
from kho.server.web.paths import page_of
from kho.server.web.request import Request


def frame(request: Request, tab: str) -> dict[str, object]:
    """Values for templates that extend `repository_frame.html`."""
    name = request.values.name
    principal = request.caller.principal
    address = page_of(name)
    tabs = ["overview", "tags", "versions", "history"]
    if activity.may_look(principal, name):
        tabs.append("activity")
    if allowed(principal, Action.SETTINGS, name):
        tabs.append("settings")
    return {
        "name": name,
        "address": address,
        "tab": tab,
        "tabs": [
            (one, address if one == "overview" else f"{address}/-/{one}", one == tab)
            for one in tabs
        ],
        "crumbs": _crumbs(name, address),
        "may_delete": allowed(principal, Action.DELETE, name),
    }


def _crumbs(name: str, address: str) -> list[tuple[str, str]]:
    """The namespaces above, each with the list of what is in it."""
    *spaces, last = name.split("/")
    found = [
        (space, "/?" + urlencode({"namespace": "/".join(spaces[: number + 1])}))
        for number, space in enumerate(spaces)
    ]
    return [*found, (last, address)]


def short(digest: str) -> str:
    """The beginning of a digest."""
    return digest.partition(":")[2][:12]


def with_query(request: Request, **changes: object) -> str:
    """The page's own address with other query parameters; those that are "" or None go."""
    kept = {
        key: request.query(key) or ""
        for key in ("q", "sort", "order", "kind", "tagged", "tag", "which")
        if key not in changes
    }
    given = {key: str(value) for key, value in {**kept, **changes}.items() if value}
    return f"?{urlencode(given)}" if given else "?"


def address_of(request: Request) -> str:
    """Where the repository's own page is."""
    return page_of(request.values.name)
