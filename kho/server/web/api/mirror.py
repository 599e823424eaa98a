"""Structs of the index as the API tells them: the same fields, with times that say what they are.

at, ..._at: int milliseconds  ──>  a time in UTC         tuple  ──>  list
"""

import inspect
import types
import typing
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import Struct

from kho.server.web.api.paging import Listing
from kho.server.web.api.values import Time, time_of

# An annotation is whatever stands there, and so is a type that is made here.
Hint = Any


# Structs that hold others of their kind are written by hand.
_BY_HAND: Final[dict[type[Struct], Hint]] = {}


def by_hand(kind: type[Struct], instead: type[Struct]) -> None:
    """Have `instead` be the mirror of a struct, wherever that stands."""
    _BY_HAND[kind] = instead


@cache
def mirror(kind: type[Struct], name: str = "") -> Hint:
    """The struct that the API tells in place of one of the index, and those in it."""
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = [(one, _hint(one, hints[one])) for one in kind.__struct_fields__]
    description = (inspect.getdoc(kind) or "").replace("in milliseconds", "in UTC")
    return msgspec.defstruct(
        name or kind.__name__, fields, frozen=True, kw_only=True, namespace={"__doc__": description}
    )


def listing_of(kind: Hint) -> Hint:
    """The type of a page of what `mirror` has made."""
    return types.GenericAlias(Listing, (kind,))


def page(values: Sequence[Struct], kind: Hint, following: str | None) -> Listing[Any]:
    """A page of the index as a page of the API."""
    return Listing([told(one, kind) for one in values], following)


def told(value: Struct, kind: Hint) -> Any:  # noqa: ANN401  an instance of `kind`
    """A struct of the index as its mirror."""
    hints = _hints(kind)
    return kind(**{name: _told(getattr(value, name), hints[name]) for name in hints})


@cache
def _hints(kind: Hint) -> dict[str, Hint]:
    return typing.get_type_hints(kind)


def _hint(name: str, hint: Hint) -> Hint:
    inner = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        found = _hint(name, inner[0])
        return found if len(inner) == 1 else found | inner[1]
    origin: Any = typing.get_origin(hint)
    if origin is tuple or origin is list:
        return types.GenericAlias(list, (_hint("", inner[0]),))
    if inner and inner[-1] is object:
        return dict[str, Any]
    if hint is int and (name == "at" or name.endswith("_at")):
        return Time
    if isinstance(hint, type) and issubclass(hint, Struct):
        return _BY_HAND.get(hint) or mirror(hint)
    return hint


def _told(value: Any, hint: Hint) -> Any:  # noqa: ANN401
    inner: list[Hint] = list(typing.get_args(hint))
    if isinstance(value, tuple | list):
        return [_told(one, inner[0]) for one in value]
    if isinstance(value, Struct):
        return told(value, inner[0] if inner else hint)
    if value is not None and (hint is datetime or datetime in inner):
        return time_of(value)
    return value
