"""Scopes of the token protocol."""

from kho.oci.scope import parse_scope, parse_scopes
from kho.server.index.rights.access import ceiling_of
from kho.server.policy.access import Action, within_ceilings
from tests.fuzz import texts


def check(data: bytes) -> None:
    text = texts.unicode(data)
    one = parse_scope(text)
    if one is not None:
        assert one.name
        assert all(one.actions)
        assert str(one).isascii()
        assert str(one).isprintable()
        assert not set(str(one)) & set(' "\\')
        assert parse_scope(str(one)) == one
    found = parse_scopes(text.split("\n"))
    assert len({(one.type, one.name) for one in found}) == len(found)
    assert parse_scopes([" ".join(map(str, found))]) == found
    for one in found:
        listed = one.claim()["actions"]
        assert isinstance(listed, list)
        assert sorted(listed) == sorted(one.actions)
    # Names in the token of another server are names, whatever is in them.
    for name in ("team/app", *(one.name for one in found)):
        let = within_ceilings((ceiling_of(found),), Action.PULL, name)
        assert let <= any(one.name == name for one in found)
