"""docs/use/api.md: the operations as people read them, made from the OpenAPI document."""

from collections.abc import Iterator
from typing import Any, Final

_INTRODUCTION: Final = """\
# The JSON API

Everything that the web page shows and that `khod` does can be done by programs, below `/api/v1`.
The OpenAPI 3.1 document is at `/api/v1/openapi.json`; `khod openapi` prints it. It is made from the
same table that the server answers by, and so is this page (`khod openapi --page`).
`[index] enabled = false` leaves the API out.

Not in it is what concerns files of a machine, or a server that does not run yet: `khod serve`,
`migrate`, `config check`, `config docs` and `tls`. Signing in with a browser is for people alone.

## First steps

```sh
export KHO=https://kho.example.com
curl -fsS "$KHO/api/v1/whoami"                       # what anybody may
curl -fsS -u alice "$KHO/api/v1/whoami"              # asks for the password
TOKEN=$(curl -fsS -u alice -H 'Content-Type: application/json' \\
  -d '{"name": "ci", "scopes": ["team/**:pull"]}' "$KHO/api/v1/account/tokens" | jq -r .secret)
curl -fsS -u "x:$TOKEN" "$KHO/api/v1/repositories?order=pushed&descending=true"
curl -fsS -u "x:$TOKEN" "$KHO/api/v1/repositories/team/app/-/tags?text=1.*"
curl -fsS -u "x:$TOKEN" "$KHO/api/v1/repositories/team/app/-/images/1.0"
curl -fsS -u "x:$TOKEN" "$KHO/api/v1/repositories/team/app/-/images/1.0/files?path=etc"
curl -fsS -u "x:$TOKEN" "$KHO/api/v1/search?q=python"
```

As an administrator:

```sh
curl -fsS -u root -H 'Content-Type: application/json' \\
  -d '{"name": "bob", "password": "correct horse battery"}' "$KHO/api/v1/users"
curl -fsS -u root -H 'Content-Type: application/json' \\
  -d '{"subject": "user:bob", "role": "writer", "pattern": "team/**"}' "$KHO/api/v1/grants"
curl -fsS -u root "$KHO/api/v1/access?subject=user:bob&action=push&repository=team/app"
curl -fsS -u root "$KHO/api/v1/audit?since=1h&action=user.*"
curl -fsS -u root -X PATCH -H 'Content-Type: application/json' \\
  -d '{"disabled": true}' "$KHO/api/v1/users/bob"
curl -fsS -u root -H 'Content-Type: application/json' \\
  -d '{"repository": "team/app"}' "$KHO/api/v1/index-rebuilds"
curl -fsS -u root "$KHO/api/v1/index"                # what the index has still to find out
CHECK=$(curl -fsS -u root -H 'Content-Type: application/json' \\
  -d '{"quick": true}' "$KHO/api/v1/checks" | jq .id)   # `khod fsck` as a job
curl -fsS -u root "$KHO/api/v1/checks/$CHECK"        # its state, and what it has found
```

All of a list, page by page:

```sh
after=
while
  page=$(curl -fsS -G -u "x:$TOKEN" -d limit=200 --data-urlencode "after=$after" \\
    "$KHO/api/v1/repositories")
  printf '%s' "$page" | jq -r '.items[].name'
  after=$(printf '%s' "$page" | jq -r '.next // empty')
  [ -n "$after" ]
do :; done
```

A mistake, and what is told of it:

```sh
curl -sS "$KHO/api/v1/whoami?colour=red" | jq
```

```json
{
  "title": "Bad Request",
  "status": 400,
  "detail": "the query is not right: colour: there is no such field; allowed are none",
  "instance": "/api/v1/whoami",
  "errors": [
    "colour: there is no such field; allowed are none"
  ]
}
```

## What holds everywhere

- **Who asks.** `Authorization: Basic` with a password, or with an access token as the password (the
  name does not matter then). A bearer token of `/token` opens what its scopes name. A page in a
  browser has its session's cookie; a change needs the header `X-Kho-Token` of the page, too, and
  must come from the same origin: else 403.
- **What a token may.** No more than its scopes, and never the account or the administration: a
  token with scopes cannot make one that may more.
- **What one may not pull is not there.** It is 404, as if it had never been; lists leave it out.
  Who has not signed in is asked to: 401.
- **Lists** come in pages: `{"items": [...], "next": "..."}`. The `next` of a page is the `after` of
  the one that follows, null is the end; the header `Link` has the whole address. Pages neither skip
  nor repeat what stays while others add and remove.
- **Errors** are problem details (RFC 9457, `application/problem+json`): `title`, `status`,
  `detail`, `instance`; `errors` names every mistake of a query or body, with what is allowed;
  `code` is the word of the distribution specification where one fits. A query parameter or field
  that does not exist is a mistake.
- **Bodies** are JSON (`Content-Type: application/json`, else 415), 64 KiB at most (else 413).
- **Times** are UTC (RFC 3339), sizes are bytes.
- **Unchanged?** Answers to GET have an `ETag`; with `If-None-Match` what has not changed is 304.
- **The trail** has every change with the caller as the actor: `GET /api/v1/audit`.

Names of repositories have slashes, which stay as they are; `/-/` ends a name:
`/api/v1/repositories/team/sub/app/-/tags`.
"""
_LISTING: Final = "Listing_"
_WHO: Final = {
    "browse": "anybody; shows what the caller may pull",
    "account": "the user whose account it is, not within a token's scopes",
    "pull": "who may pull",
    "push": "who may push, and tag or overwrite",
    "delete": "who may delete",
    "settings": "who may change the repository's settings",
    "admin": "administrators, not within a token's scopes",
}


def page(document: dict[str, Any]) -> str:
    """The text of docs/use/api.md."""
    return "\n".join((_INTRODUCTION, *_operations(document), *_schemas(document)))


def _operations(document: dict[str, Any]) -> Iterator[str]:
    yield "## Operations\n"
    rows = [
        (method.upper(), path, one)
        for path, methods in document["paths"].items()
        for method, one in methods.items()
    ]
    for tag in document["tags"]:
        yield f"### {tag['name']}\n"
        for method, path, one in rows:
            if one["tags"] == [tag["name"]]:
                yield from _operation(method, path, one)


def _operation(method: str, path: str, one: dict[str, Any]) -> Iterator[str]:
    yield f"#### {one['summary']}\n"
    yield f"`{method} {path}` · `{one['operationId']}` · {_WHO[one['x-kho-action']]}\n"
    yield f"{one['description']}\n"
    asked = [each for each in one["parameters"] if each["in"] == "query"]
    if asked:
        yield "| query | type | meaning |"
        yield "|---|---|---|"
        for each in asked:
            needed = ", needed" if each["required"] else ""
            told = _cell(each["description"])
            yield f"| `{each['name']}` | {_type(each['schema'])}{needed} | {told} |"
        yield ""
    if "requestBody" in one:
        content = one["requestBody"]["content"]["application/json"]["schema"]
        yield f"Body: {_type(content)}\n"
    yield f"Answer: {_answer(one['responses'])}\n"


def _answer(responses: dict[str, Any]) -> str:
    status, good = next((key, value) for key, value in responses.items() if key.startswith("2"))
    content = good.get("content")
    if not content:
        return f"{status}"
    media_type, told = next(iter(content.items()))
    return f"{status}, {_type(told['schema'])}" if told else f"{status}, `{media_type}`"


def _schemas(document: dict[str, Any]) -> Iterator[str]:
    yield "## Structures\n"
    for name, schema in sorted(document["components"]["schemas"].items()):
        if name.startswith(_LISTING):
            continue
        yield f"### {name}\n"
        yield f"{schema.get('description', '')}\n"
        needed = set(schema.get("required", ()))
        yield "| field | type | meaning |"
        yield "|---|---|---|"
        for key, value in schema.get("properties", {}).items():
            rest = "" if key in needed else ", may be left out"
            yield f"| `{key}` | {_type(value)}{rest} | {_cell(value.get('description', ''))} |"
        yield ""


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return _linked(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f'`"{one}"`' for one in schema["enum"])
    kind = str(schema.get("type", "any JSON"))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        kind = f"names with {_type(schema['additionalProperties'])}"
    return "time" if schema.get("format") == "date-time" else kind


def _linked(name: str) -> str:
    one = name.removeprefix(_LISTING).rstrip("_")
    return f"{'page of ' if one != name else ''}[{one}](#{one.lower()})"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
