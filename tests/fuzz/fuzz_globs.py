"""Globs of repositories, beside a matcher that tries everything, and as ranges for SQL."""

from functools import cache

from kho.server.policy.patterns import compiled, covering, matches, name_range, quick, sort_key
from tests.fuzz import texts


def check(data: bytes) -> None:
    pattern, name, *_ = (texts.header(one) for one in texts.split(data, 3))
    name = name[:255]
    try:
        compiled(pattern)
    except ValueError as error:
        assert str(error).isascii()
        return
    found = matches(pattern, name)
    if len(pattern) <= 64 and len(name) <= 64:
        assert found == slow(pattern, name), (pattern, name)
    if "\n" in name or "!" in name or not name.isascii():  # no name of a repository has these
        return
    low, high, expression, kept, dropped = name_range(pattern)
    if found and name:  # no repository is nameless
        key = sort_key(name)
        assert low <= key
        assert high is None or key < high
        assert like(kept, key), (pattern, name)
        assert not like(dropped, key), (pattern, name)
    if expression is not None:
        compiled.__wrapped__(pattern)
        assert quick(expression)
    (one,) = covering((pattern,))
    assert one == name_range(pattern)


def like(text: str, key: str) -> bool:
    """What SQL's LIKE says: the last `%` takes one more when what follows does not fit."""
    place = start = taken = 0
    star = -1
    while start < len(key):
        wanted = text[place : place + 1]
        if wanted == "%":
            star, taken = place, start
            place += 1
        elif wanted in {"_", key[start]}:
            place += 1
            start += 1
        elif star < 0:
            return False
        else:
            taken += 1
            place, start = star + 1, taken
    return not text[place:].strip("%")


def slow(pattern: str, name: str) -> bool:
    """Each star tried at each length; remembered, so that it ends."""

    @cache
    def at(place: int, start: int) -> bool:
        rest = pattern[place:]
        if not rest:
            return start == len(name)
        if rest.startswith("**"):
            return any(at(place + 2, end) for end in range(start, len(name) + 1))
        if rest[0] == "*":
            end = name.find("/", start)
            stop = len(name) if end < 0 else end
            return any(at(place + 1, end) for end in range(start, stop + 1))
        if start == len(name):
            return False
        fits = name[start] != "/" if rest[0] == "?" else name[start] == rest[0]
        return fits and at(place + 1, start + 1)

    return at(0, 0)
