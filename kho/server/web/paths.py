"""Paths of the index: templates whose `{name}` is a repository, with as many slashes as it has.

/api/v1/repositories/{name}/-/tags/{tag}     `/-/` ends a name: no component of one is `-`
/{name}:{tag}   /{name}@{digest}             the page of what `docker pull` calls so
/-/r/{name}...                               the same pages, for names such as `v2/app`
"""

import re
from collections.abc import Iterable
from typing import Final

# What a repository's page cannot begin with: other things are there.
RESERVED: Final = frozenset(
    {
        "-",
        ".well-known",
        "api",
        "auth",
        "favicon.ico",
        "healthz",
        "metrics",
        "readyz",
        "robots.txt",
        "setup",
        "token",
        "v1",
        "v2",
    }
)
_ANYWHERE: Final = "/-/r"
# A name has 255 characters, a digest 135: what is longer is none of ours, and costs some to read.
_LONGEST: Final = 1024
_PART: Final = re.compile(r"{(\w+)}")
_EXPRESSIONS: Final = {
    "name": r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*",
    "tag": r"[A-Za-z0-9_][A-Za-z0-9._-]*",
    "digest": r"[a-z0-9+._-]+:[A-Za-z0-9=_-]+",
    "path": r".+",
}


def expression_of(part: str) -> str | None:
    """What a part may be, as an expression; None: anything without a slash."""
    return _EXPRESSIONS.get(part)


def page_of(name: str) -> str:
    """Where the page of a repository is."""
    return f"{_ANYWHERE}/{name}" if name.partition("/")[0] in RESERVED else f"/{name}"


class Paths:
    """Templates, to be found by paths; those without parts first, then in the order given."""

    def __init__(self, templates: Iterable[str]) -> None:
        wild = list(dict.fromkeys(templates))
        self._fixed = {one for one in wild if "{" not in one}
        self._wild = [(one, _expression(one)) for one in wild if "{" in one]

    def match(self, path: str) -> tuple[str, dict[str, str]] | None:
        """The template, and the text of its parts; None for no such path."""
        if path in self._fixed:
            return path, {}
        if len(path) > _LONGEST:
            return None
        page = path.removeprefix(_ANYWHERE) if path.startswith(_ANYWHERE + "/") else path
        reserved = page is path and path[1:].partition("/")[0] in RESERVED
        for template, expression in self._wild:
            if template.startswith("/{"):
                found = None if reserved else expression.fullmatch(page)
            else:
                found = expression.fullmatch(path)
            if found:
                return template, found.groupdict()
        return None


def _expression(template: str) -> re.Pattern[str]:
    parts, end = [], 0
    for found in _PART.finditer(template):
        parts.append(re.escape(template[end : found.start()]))
        parts.append(f"(?P<{found[1]}>{_EXPRESSIONS.get(found[1], '[^/]+')})")
        end = found.end()
    return re.compile("".join((*parts, re.escape(template[end:]))), re.ASCII | re.DOTALL)
