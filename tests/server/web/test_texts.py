"""What pages say, in every language: all is translated, and templates say nothing unmarked."""

import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po

from kho.server.web.ui import catalogues, preferences
from tests.house.test_words import ROOTS, keywords
from tests.house.tree import REPOSITORY

WEB = REPOSITORY / "kho/server/web"
TEMPLATES = sorted((WEB / "ui/templates").glob("*.html"))
OTHERS = sorted(set(preferences.LANGUAGES) - {"en"})
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
# Names and words that are the same in every language.
SAME = {"API", "Kho", "healthz", "json", "jwks", "khod", "ms", "readyz", "root", "token"}


def said() -> set[Any]:
    """All that `make texts` finds in code and templates; a pair has a plural."""
    tool = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["babel"]
    methods = [(one["pattern"], one["method"]) for one in tool["mappings"]]
    options = {
        one["pattern"]: {k: v for k, v in one.items() if k not in ("pattern", "method")}
        for one in tool["mappings"]
    }
    words: Any = {**DEFAULT_KEYWORDS, "told": (1, 2), **dict.fromkeys(keywords())}
    messages = {
        message
        for folder in ROOTS
        for _, _, message, _, _ in extract_from_dir(str(folder), methods, options, keywords=words)
    }
    return messages - {one[0] for one in messages if isinstance(one, tuple)}


def known(language: str) -> list[Message]:
    """The catalogue of a language."""
    path = catalogues.FOLDER / language / "LC_MESSAGES" / "kho.po"
    with path.open("rb") as file:
        found = read_po(file, locale=language)
    assert not found.obsolete
    return [message for message in found if message.id]


def texts(message: Message) -> list[str]:
    """Its translations."""
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


@pytest.mark.parametrize("language", OTHERS)
def test_everything_is_translated_and_nothing_else(language: str) -> None:
    messages = known(language)
    ids = {one.id if isinstance(one.id, str) else tuple(one.id) for one in messages}
    assert said() - ids == set(), "run `make texts`, and translate"
    assert ids - said() == set(), "run `make texts`"
    assert [one.id for one in messages if one.fuzzy or not all(texts(one))] == []


@pytest.mark.parametrize("language", OTHERS)
def test_translations_have_the_same_places(language: str) -> None:
    for message in known(language):
        ids = [message.id] if isinstance(message.id, str) else list(message.id)
        places = {name for one in ids for name in PLACEHOLDER.findall(one)}
        for text in texts(message):
            found = set(PLACEHOLDER.findall(text))
            assert found <= places, message.id
            assert places - found <= ({"num"} if len(ids) > 1 else set()), message.id
            assert "%" not in PLACEHOLDER.sub("", text).replace("%%", ""), message.id


@pytest.mark.parametrize("language", OTHERS)
def test_ends_are_alike(language: str) -> None:
    for message in known(language):
        one = message.id if isinstance(message.id, str) else message.id[0]
        for text in texts(message):
            assert text == text.strip(), one
            assert (one[-1] in ".:?") == (text[-1] in ".:?"), one


class Plain(HTMLParser):
    """Texts of a template that nobody has marked."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        for name, value in attrs:
            if name in ("title", "aria-label", "alt", "data-label"):
                self._look(value or "")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("code", "script", "style"):
            self._look(data)

    def _look(self, text: str) -> None:
        self.found += [one for one in re.findall(r"[A-Za-z][A-Za-z']+", text) if one not in SAME]


def unmarked(template: str) -> list[str]:
    """Words outside of all braces."""
    plain = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", " ", template, flags=re.DOTALL)
    parser = Plain()
    parser.feed(plain)
    return parser.found


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_says_nothing_unmarked(path: Path) -> None:
    assert unmarked(path.read_text()) == []


def test_what_is_unmarked_is_seen() -> None:
    assert unmarked('<p title="Bad title">{{ _("good") }} bad</p>') == ["Bad", "title", "bad"]
    assert unmarked('<p>{{ _("good") }}<code>docker pull</code></p>') == []
