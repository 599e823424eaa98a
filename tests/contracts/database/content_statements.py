"""The statements of `database/contents` with values, for the test of their plans."""

from itertools import product

from kho.server.database.contents import attachments, history, removal, sharing, tags, versions
from kho.server.database.contents.tags import Order
from kho.server.database.engine import Statement, Value

from .samples import digest

HERE: dict[str, Value] = {"repository_id": 1}
DIGESTS: dict[str, Value] = {"digests": f'["{digest(40)}", "{digest(41)}"]'}
PAGE: dict[str, Value] = {"limit": 100}
BEFORE: dict[str, Value] = {"before": 4000}
LOW: dict[str, Value] = {"low": 3000}
IDS: dict[str, Value] = {"ids": "[40, 41]"}
ORDERS: tuple[Order, ...] = ("name", "pushed", "size", "pulls")


def _keys() -> dict[str, tuple[Statement, dict[str, Value]]]:
    found = {}
    for order, descending, filtered in product(ORDERS, (False, True), (False, True)):
        statement = tags.keys_statement(
            order, descending=descending, filtered=filtered, first=False
        )
        values = HERE | PAGE | {"key": "" if order == "name" else 0, "after": "t01500"}
        name = f"contents.tags.keys {order} {descending} {filtered}"
        found[name] = statement, values | ({"like": "%77%"} if filtered else {})
    return found


CONTENTS: dict[str, tuple[Statement, dict[str, Value]]] = _keys() | {
    "contents.tags.rows": (tags._ROWS, HERE | {"names": '["t00001", "t00002"]'}),
    "contents.tags.names_of": (tags._OF_DIGEST, HERE | PAGE | {"digest": str(digest(41))}),
    "contents.versions.window": (versions._WINDOW, HERE | BEFORE | PAGE),
    "contents.versions.page": (
        versions.page_statement("all", of_kind=False),
        HERE | BEFORE | LOW | PAGE,
    ),
    "contents.versions.page untagged": (
        versions.page_statement("untagged", of_kind=True),
        HERE | BEFORE | LOW | PAGE | {"kind": "image"},
    ),
    "contents.versions.children": (versions._CHILDREN, HERE | IDS),
    "contents.versions.attached": (versions._ATTACHED, HERE | DIGESTS),
    "contents.history.moves": (history.moves_statement(of_tag=False), HERE | BEFORE | PAGE),
    "contents.history.moves of a tag": (
        history.moves_statement(of_tag=True),
        HERE | BEFORE | PAGE | {"tag": "t01500"},
    ),
    "contents.history.pointed_at": (
        history._WAS_THERE,
        HERE | {"tag": "t01500", "digest": str(digest(40))},
    ),
    "contents.history.window": (history._WINDOW, BEFORE | PAGE | {"repository": "r1"}),
    "contents.history.events": (
        history.events_statement(1, of_outcome=True),
        BEFORE | LOW | PAGE | {"repository": "r1", "like_0": "%.delete", "outcome": "denied"},
    ),
    "contents.sharing.users": (sharing._USERS, DIGESTS),
    "contents.sharing.homes": (sharing._HOMES, {"manifests": "[40, 41]"}),
    "contents.attachments.tagged": (attachments._TAGGED, HERE | {"names": '["t00001"]'}),
    "contents.removal.by_digest": (removal._BY_DIGEST, HERE | DIGESTS),
    "contents.removal.pointing": (removal._BY_TAG, HERE | {"names": '["t00001"]'}),
    "contents.removal.tags_of": (removal._TAGS, HERE | DIGESTS | {"without": '["t00001"]'}),
    "contents.removal.parents": (removal._PARENTS, HERE | DIGESTS | PAGE),
    "contents.removal.children": (removal._LISTED, IDS | PAGE),
    "contents.removal.blobs_of": (removal._BLOBS, HERE | IDS | PAGE),
    "contents.removal.freed": (removal._FREED, HERE | DIGESTS | IDS),
    "contents.removal.freed on disk": (removal._FREED_ON_DISK, HERE | DIGESTS | IDS),
    "contents.removal.used": (removal._USED_FOR_SURE, HERE | DIGESTS | IDS),
    "contents.removal.uncrowded": (removal._UNCROWDED, DIGESTS),
}
# Those that are asked for a set sort it; a page in an order may sort nothing.
SETS = {
    "contents.removal.parents",
    "contents.removal.children",
    "contents.removal.blobs_of",
}
