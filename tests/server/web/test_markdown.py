"""W1: a README is shown, and nothing in it runs, is fetched or leaves the page."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kho.server.web.ui.markdown import LONGEST, rendered

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](java\nscript:alert(1))",
    "[a](&#106;avascript:alert(1))",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    "[a](vbscript:x)",
    "[a](//evil.example)",
    "![x](javascript:alert(1))",
    '![x](http://evil.example/a.png "onload=alert(1)")',
    "[![x](http://evil.example/a.png)](javascript:alert(1))",
    "<a href='javascript:alert(1)'>x</a>",
    '<svg onload="alert(1)">',
    "<iframe src=//evil.example></iframe>",
    "<style>*{display:none}</style>",
    '<form action="//evil.example"><input name=p></form>',
    "```html\n</code></pre><script>alert(1)</script>\n```",
    "`<script>alert(1)</script>`",
    "| a |\n|---|\n| <script>alert(1)</script> |",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    '[x]: javascript:alert(1) "t"\n\n[x]',
    '<https://a.example/"onmouseover=alert(1)>',
    "\x00<script>alert(1)</script>",
    '# <b onclick="alert(1)">h</b>',
    "[a](/auth/logout)",
    "<base href=//evil.example>",
    '<meta http-equiv="refresh" content="0;url=//evil.example">',
]
TAG = re.compile(r"<(/?)([a-z0-9]+)([^>]*)>")
HARMLESS = {"href", "title", "rel", "start", "align"}


def assert_harmless(html: str) -> None:
    for closing, name, attributes in TAG.findall(html):
        assert name in {
            *("a", "blockquote", "br", "code", "del", "em", "h3", "h4", "h5", "h6", "hr", "li"),
            *("ol", "p", "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
        }, html
        assert not closing or not attributes.strip()
        assert set(re.findall(r'([a-zA-Z-]+)="', attributes)) <= HARMLESS, html
        for href in re.findall(r'href="([^"]*)"', attributes):
            assert re.match(r"(https?://|mailto:)", href), html


@pytest.mark.parametrize("text", ATTACKS)
def test_attacks_are_text(text: str) -> None:
    assert_harmless(rendered(text))


@given(st.lists(st.sampled_from([*ATTACKS, "# a", "**b**", "> ", "- ", "\n", "`", "[", "]("])))
def test_so_are_mixtures(parts: list[str]) -> None:
    assert_harmless(rendered("".join(parts)))


def test_it_looks_as_it_was_meant() -> None:
    html = rendered(
        "# Title\n\nSome *text*, [a link](https://a.example) and `code`.\n\n- one\n- two"
    )
    assert "<h3>Title</h3>" in html
    assert '<a href="https://a.example" rel="noopener noreferrer nofollow">a link</a>' in html
    assert "<em>text</em>" in html
    assert "<li>two</li>" in html


def test_tables_keep_their_sides() -> None:
    html = rendered("| a | b |\n|:--|--:|\n| 1 | 2 |")
    assert "<table>" in html
    assert "<td>1</td>" in html or '<td align="left">1</td>' in html


def test_pictures_are_links() -> None:
    html = rendered(
        "![a badge](https://a.example/b.svg) [![c](https://a.example/c)](https://d.example)"
    )
    assert "<img" not in html
    assert (
        '<a href="https://a.example/b.svg" rel="noopener noreferrer nofollow">a badge</a>' in html
    )
    assert '<a href="https://d.example" rel="noopener noreferrer nofollow">c</a>' in html


def test_a_long_one_is_cut_and_a_deep_one_ends() -> None:
    assert len(rendered("a" * (LONGEST * 2))) < LONGEST + 100
    assert_harmless(rendered("> " * 5000 + "x"))
    assert_harmless(rendered("[" * 5000))
    assert_harmless(rendered("*a **b " * 3000))


@pytest.mark.parametrize("bomb", ["![", "[", "**a_b", "*a ", "[a](", "|b\n", "<a "])
def test_a_text_of_nothing_but_marks_is_shown_as_it_is(bomb: str) -> None:
    html = rendered(bomb * (LONGEST // len(bomb)))
    assert html.startswith("<pre>")
    assert "<a " not in html
    assert_harmless(html)
