"""A registry to search in, as rows: names, descriptions, labels and tags out of 3,000 words.

team-000/app, team-001/nginx-soft-17, ...    a seventh is called `app`, a quarter is public
"""

import json
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from bench.large import Rows
from kho.server.database.searching.search_document import Image, packed, source_of, words_of

TEAMS = 500
USUAL = (
    *("api", "web", "server", "nginx", "redis", "postgres", "worker", "batch", "ui", "cache"),
    *(
        "proxy",
        "gateway",
        "auth",
        "tool",
        "agent",
        "runtime",
        "python",
        "node",
        "java",
        "application",
    ),
)
SELDOM = tuple(f"{one}{other}" for one in USUAL for other in range(150))
_PUBLIC = 4
_LICENCES = ("MIT", "Apache-2.0", "GPL-3.0-or-later")
_PREFIX = "org.opencontainers.image."


class Document(NamedTuple):
    """A repository, and what it is found by."""

    name: str
    description: str
    pulls: int
    public: int
    source: str


def documents(amount: int) -> Iterator[Document]:
    """The same each time."""
    random = Random(amount)
    for number in range(amount):
        last = "app" if number % 7 == 0 else f"{random.choice(USUAL)}-{random.choice(SELDOM)}"
        name = f"team-{number % TEAMS:03}/{number // TEAMS}/{last}"
        said = " ".join((random.choice(USUAL), *random.choices(SELDOM, k=6)))
        description = f"The {said}" if number % 3 else ""
        labels = {
            f"{_PREFIX}licenses": random.choice(_LICENCES),
            f"{_PREFIX}revision": f"{random.getrandbits(160):040x}",
            f"{_PREFIX}source": f"https://git.example.com/{name}",
        }
        tags = ["latest", *(f"1.{random.randrange(60)}.{patch}" for patch in range(5))]
        image = Image(None, "index", '["linux/amd64", "linux/arm64"]', json.dumps(labels))
        pulls = 0 if number % 3 else int(random.paretovariate(0.5)) % 10**9
        source = packed(source_of(description, None, tags, [image]))
        yield Document(name, description, pulls, int(number % _PUBLIC == 0), source)


def rows(amount: int) -> Iterator[Rows]:
    """Table by table."""
    first = 1000
    found = list(enumerate(documents(amount), first))
    yield Rows(
        "repositories",
        ("id", "name", "sort_key", "created_at", "description", "pulls", "public", "indexed"),
        ((number, one.name, one.name.replace("/", "!"), 0, *one[1:4], 1) for number, one in found),
    )
    yield Rows(
        "search_documents",
        ("repository_id", "source"),
        ((number, one.source) for number, one in found),
    )
    yield Rows(
        "search_words",
        ("repository_id", "word", "field"),
        (
            (number, word, field)
            for number, one in found
            for word, field in sorted(words_of(one.name, one.source).items())
        ),
    )
