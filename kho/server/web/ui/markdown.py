"""READMEs: Markdown to harmless HTML (W1).

    text ─► markdown-it, raw HTML off ─► pictures become links ─► nh3, an allow-list ─► page

Two walls: the first makes no markup but Markdown's, the second lets through no more than the list.
Pictures of other servers are not shown: the policy of the pages forbids them, and each would tell
that server who reads.
"""

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONGEST: Final = 256 * 1024
# Each costs some 30 us, and others wait: a text with more of them is shown as it is.
MARKS: Final = 16_000
_MARK: Final = re.compile(r"[][!*_~|`<&]")
_TAGS: Final = {
    *("a", "blockquote", "br", "code", "dd", "del", "dl", "dt", "em", "h3", "h4", "h5", "h6"),
    *("hr", "li", "ol", "p", "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr"),
    "ul",
}
_ATTRIBUTES: Final = {"a": {"href", "title"}, "ol": {"start"}, "td": {"align"}, "th": {"align"}}
_SCHEMES: Final = {"http", "https", "mailto"}
# The page has headings of its own above: `#` is the third level.
_DEEPER: Final = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6", "h5": "h6", "h6": "h6"}


def rendered(text: str) -> Markup:
    """The HTML of a README of any origin; what is beyond 256 KiB is left out."""
    import nh3  # noqa: PLC0415  with the first README, not with the worker

    text = text[:LONGEST]
    if sum(1 for _ in _MARK.finditer(text)) > MARKS:
        return Markup("<pre>{}</pre>").format(text)
    html = _parser().render(text)
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
        strip_comments=True,
    )
    return Markup(clean)  # noqa: S704  it has been cleaned


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # noqa: PLC0415

    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": 20})
    parser.enable(["table", "strikethrough"])
    parser.core.ruler.push("kho", lambda state: _adapt(state.tokens))
    return parser


def _adapt(tokens: "Sequence[Token]") -> None:
    """Sink headings; make pictures links."""
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = _DEEPER[token.tag]
        if token.children:
            token.children = _without_pictures(token.children)


def _without_pictures(tokens: "Sequence[Token]") -> "list[Token]":
    from markdown_it.token import Token  # noqa: PLC0415

    found: list[Token] = []
    linked = 0
    for token in tokens:
        linked += {"link_open": 1, "link_close": -1}.get(token.type, 0)
        if token.type != "image":
            found.append(token)
            continue
        text = Token("text", "", 0, content=token.content or "image")
        if linked:
            found.append(text)
        else:
            href = str(token.attrs.get("src", ""))
            found += [
                Token("link_open", "a", 1, attrs={"href": href}),
                text,
                Token("link_close", "a", -1),
            ]
    return found
