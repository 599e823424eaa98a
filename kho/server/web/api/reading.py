"""What a query and a body say, checked against a struct: every mistake is told at once."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct

from kho.server.web.api.problems import BodyTooLarge, Mistakes, UnsupportedType
from kho.server.web.request import QUERY_FIELDS, Request

JSON: Final = "application/json"
_SHOWN: Final = 80

S = TypeVar("S", bound=Struct)


def query_of(request: Request, wanted: type[S]) -> S:
    """The query as a struct; a field that is a list may come several times. Raises Mistakes."""
    text = request.scope["query_string"].decode("latin-1")
    try:
        found = parse_qs(text, keep_blank_values=True, max_num_fields=QUERY_FIELDS, errors="strict")
    except UnicodeDecodeError:
        raise Mistakes("the query is not right", ["the query is not UTF-8"]) from None
    except ValueError:
        allowed = f"more than {QUERY_FIELDS} query parameters"
        raise Mistakes("the query is not right", [allowed]) from None
    lists = {one.encode_name for one in msgspec.structs.fields(wanted) if _is_list(one.type)}
    twice = [
        f"{key[:_SHOWN]}: is given {len(values)} times; allowed is once"
        for key, values in found.items()
        if len(values) > 1 and key not in lists
    ]
    given = {key: values if key in lists else values[0] for key, values in found.items()}
    return _read(given, wanted, "query", twice, strict=False)


async def body_of(request: Request, wanted: type[S], most: int) -> S:
    """The body as a struct; no body is an empty object.

    Raises Mistakes, UnsupportedType, BodyTooLarge.
    """
    raw = await request.body(most, BodyTooLarge(f"the body has more than {most} bytes"))
    media_type = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
    if media_type != JSON and (raw or media_type):
        raise UnsupportedType(f"a body of {media_type[:_SHOWN]!a} is not taken; allowed is {JSON}")
    try:
        given = msgspec.json.decode(raw) if raw else {}
    except (ValueError, RecursionError) as error:
        raise Mistakes("the body is not JSON", [str(error)]) from None
    if not isinstance(given, dict):
        raise Mistakes("the body is not right", ["the body: expected an object"])
    return _read(given, wanted, "body", [], strict=True)


def _read(
    given: Mapping[str, object], wanted: type[S], what: str, mistakes: list[str], *, strict: bool
) -> S:
    fields = {one.encode_name: one for one in msgspec.structs.fields(wanted)}
    allowed = ", ".join(fields) or "none"
    mistakes += [
        f"{name[:_SHOWN]}: there is no such field; allowed are {allowed}"
        for name in given
        if name not in fields
    ]
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in given:
            if field.required:
                mistakes.append(f"{name}: is missing{_what_is_allowed(field.type)}")
            continue
        if _holds_nul(given[name]):
            mistakes.append(f"{name}: holds a NUL character")
            continue
        try:
            values[field.name] = msgspec.convert(given[name], field.type, strict=strict)
        except msgspec.ValidationError as error:
            mistakes.append(_told(name, str(error)) + _what_is_allowed(field.type))
    if mistakes:
        raise Mistakes(f"the {what} is not right", mistakes)
    return wanted(**values)


def _told(name: str, message: str) -> str:
    """`scopes[0]: expected str, got int` of "Expected `str`, got `int` - at `$[0]`"."""
    text, _, where = message.partition(" - at ")
    text = text.replace("`", "")
    return f"{name}{where.strip('`').removeprefix('$')}: {text[:1].lower()}{text[1:]}"


def _what_is_allowed(kind: Any) -> str:  # noqa: ANN401  whatever stands in an annotation
    schema = msgspec.json.schema(kind)
    words = _words(schema)
    if words:
        return f"; allowed are {', '.join(map(str, words))}"
    told = schema.get("description")
    return f"; allowed is: {told}" if told and "$ref" not in schema else ""


def _words(schema: Any) -> list[object]:  # noqa: ANN401  a part of a schema
    """The words of an enumeration, of a list's elements too."""
    if not isinstance(schema, dict):
        return []
    if "enum" in schema:
        return list(schema["enum"])
    inner = [schema.get("items"), *schema.get("anyOf", ())]
    return [word for one in inner for word in _words(one)]


def _is_list(kind: Any) -> bool:  # noqa: ANN401  whatever stands in an annotation
    return bool(msgspec.json.schema(kind).get("type") == "array")


def _holds_nul(value: object) -> bool:
    """Whether a text in it has a character that PostgreSQL cannot keep."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(one) for pair in value.items() for one in pair)
    return isinstance(value, list) and any(map(_holds_nul, value))
