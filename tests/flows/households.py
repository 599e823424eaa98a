"""A registry with people who have passwords, and what its pages are looked at with."""

import re
from itertools import pairwise

from kho.server.database import repositories
from kho.server.database.identities import accounts, grants
from kho.server.index.sources import passwords
from tests.flows.browser import Browser
from tests.flows.people import resources_of
from tests.flows.registry import Registry

PASSWORD = "correct horse"
HEAVIEST = 150 * 1024

_H1 = re.compile(r"<h1[ >]")
_HEADINGS = re.compile(r"<h([1-6])[ >]")


class Household:
    """People of a registry; before the first of them it is open to all."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.resources = resources_of(registry)
        self.resources.memory.keep(passwords.Line).cost = passwords.Cost(8, 1)

    async def person(self, name: str, *, admin: bool = False) -> Browser:
        """An account, and a browser that is signed in with it."""
        hashed = await passwords.hash_password(self.resources, PASSWORD)
        await self.resources.database.write(
            accounts.add, name, source="local", password_hash=hashed, admin=admin
        )
        self.resources.memory.forget()
        browser = Browser(self.registry)
        assert (await browser.sign_in(name, PASSWORD)).status == 303
        return browser

    async def grant(self, subject: str, role: str, pattern: str) -> None:
        """Give somebody a role."""
        await self.resources.database.write(grants.add, subject, role, pattern, "test")
        self.resources.memory.forget()

    async def publish(self, name: str) -> None:
        """Let everybody pull it."""
        await self.resources.database.write(repositories.set_public, name, True)
        self.resources.memory.forget()


async def seen(browser: Browser, path: str) -> str:
    """The text of a page that is there, well built and not too heavy."""
    answer = await browser.get(path)
    assert answer.status == 200, (path, answer.status, answer.body[:300])
    assert len(answer.body) <= HEAVIEST, (path, len(answer.body))
    text = browser.text
    assert len(_H1.findall(text)) == 1, path
    levels = [int(level) for level in _HEADINGS.findall(text)]
    assert all(after - before <= 1 for before, after in pairwise(levels)), (
        path,
        levels,
    )
    assert " style=" not in text, path
    return text


def rows(text: str) -> list[str]:
    """The names in the first column of a page's tables, in order."""
    return re.findall(r'<th scope="row" class="name" title="([^"]+)"', text)


def following(text: str) -> str | None:
    """Where the next page is."""
    found = re.search(r'rel="next" href="([^"]+)"', text)
    return found[1].replace("&amp;", "&") if found else None
