"""The OpenAPI 3.1 document, made from the table of operations."""

import inspect
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from msgspec import Struct

from kho import __version__
from kho.server.policy.access import Action
from kho.server.web.api.operation import Nothing, Operation
from kho.server.web.api.parts import described
from kho.server.web.api.problems import MEDIA_TYPE, Problem
from kho.server.web.api.reading import JSON

_REF: Final = "#/components/schemas/{name}"
_PARTS: Final = re.compile(r"{(\w+)}")
_ABOUT: Final = """\
What this registry holds, who may do what with it, and what happened. Lists come in pages: `next`
of one is `after` of the next, and the header `Link` has the whole address. Errors are problem
details (RFC 9457); `errors` names every mistake of a query or body. Times are UTC.

A program sends `Authorization`: Basic with a password or an access token as the password. A page
in a browser has its session's cookie; what changes something needs the header `X-Kho-Token`, too.
"""
SECURITY: Final = {
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "A name with its password, or any name with an access token.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of /token; it opens what its scopes name, and no administration.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "kho",
        "description": "A browser's session (`__Host-kho` with TLS). What changes something"
        " needs the header X-Kho-Token, from a page of ours.",
    },
}
# What an operation may answer beside what it is for.
_ALWAYS: Final = (400, 401, 403, 404, 414, 429, 503)
_CHANGES: Final = (409, 507)
_WITH_BODY: Final = (408, 413, 415)
_OPEN: Final = (Action.BROWSE, Action.PULL)  # anonymous callers see what is public
_OWN: Final = (Action.ACCOUNT, Action.ADMIN)  # never within the ceiling of a bearer token


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The document, as JSON has it."""
    schemas = _Schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.template, {})[one.method.lower()] = _operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kho",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": noun} for noun in dict.fromkeys(one.noun for one in operations)],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": SECURITY,
            "responses": {str(status): _problem(status) for status in _problem_statuses()},
        },
    }


class _Schemas:
    """Schemas of all structs of the table, in one place."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._types: list[Any] = [Problem]
        for one in operations:
            self._types += [kind for kind in (one.body, one.answer) if kind is not None]
        schemas, self.components = msgspec.json.schema_components(self._types, ref_template=_REF)
        for one in self.components.values():
            if "description" in one:
                one["description"] = inspect.cleandoc(one["description"])
        self._schemas = list(schemas)

    def of(self, kind: Any) -> dict[str, Any]:  # noqa: ANN401  a struct, or a list of them
        return self._schemas[self._types.index(kind)]


def _operation(one: Operation, schemas: _Schemas) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": one.id,
        "tags": [one.noun],
        "summary": one.summary,
        "description": inspect.getdoc(one.function) or "",
        "parameters": [*map(described, _PARTS.findall(one.template)), *_query(one.query)],
        "responses": _responses(one, schemas),
        "security": _security(one.action),
        "x-kho-action": str(one.action),
        **one.more,
    }
    if one.body is not None:
        required = any(field.required for field in msgspec.structs.fields(one.body))
        content = {JSON: {"schema": schemas.of(one.body)}}
        found["requestBody"] = {"required": required, "content": content}
    return found


def _query(kind: type[Struct]) -> list[dict[str, Any]]:
    if kind is Nothing:
        return []
    _, components = msgspec.json.schema_components([kind], ref_template=_REF)
    properties = components[kind.__name__]["properties"]
    return [
        {
            "name": one.encode_name,
            "in": "query",
            "required": one.required,
            "description": properties[one.encode_name].get("description", ""),
            "schema": properties[one.encode_name],
        }
        for one in msgspec.structs.fields(kind)
    ]


def _responses(one: Operation, schemas: _Schemas) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": one.summary}
    status = one.status
    if one.answer is not None:
        answer["content"] = {JSON: {"schema": schemas.of(one.answer)}}
    elif one.media_types != (JSON,):
        answer["content"] = {name: {} for name in one.media_types}
    else:
        status = 204
    found = {str(status): answer}
    if one.method == "GET":
        found["304"] = {"description": "It is what If-None-Match names."}
    for problem in _problem_statuses(one):
        found[str(problem)] = {"$ref": f"#/components/responses/{problem}"}
    return found


def _problem_statuses(one: Operation | None = None) -> list[int]:
    statuses = {*_ALWAYS}
    if one is None or one.method != "GET":
        statuses |= {*_CHANGES}
    if one is None or one.body is not None:
        statuses |= {*_WITH_BODY}
    return sorted(statuses)


def _problem(status: int) -> dict[str, Any]:
    if status == HTTPStatus.REQUEST_URI_TOO_LONG:  # the server's own answer, without a body
        return {"description": "URI Too Long"}
    return {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}},
    }


def _security(action: Action) -> list[dict[str, list[str]]]:
    kinds = ["basic", "session"] if action in _OWN else ["basic", "bearer", "session"]
    found: list[dict[str, list[str]]] = [{kind: []} for kind in kinds]
    return [{}, *found] if action in _OPEN else found
