"""An administrator at the pages of a registry under test."""

import re
from html import unescape

from kho.server.database import audit as trail
from kho.server.database.audit import Filter
from kho.server.index import audit
from tests.flows.browser import Browser
from tests.flows.households import Household, seen

ADMIN = "/-/admin"


class Admin:
    """An administrator at the pages."""

    def __init__(self, house: Household, browser: Browser) -> None:
        self.house = house
        self.browser = browser

    @property
    def text(self) -> str:
        """What the page says, as it is read."""
        return unescape(self.browser.text)

    async def see(self, path: str) -> str:
        """A page, which is well built."""
        return unescape(await seen(self.browser, ADMIN + path))

    async def see_refused(self, path: str) -> str:
        """Why a question was not answered."""
        assert (await self.browser.get(ADMIN + path)).status == 400
        return self.refusal()

    async def send(self, path: str, status: int = 303, /, **fields: str) -> str:
        """Send a form; what is seen afterwards, there or where it leads."""
        token = self.browser.hidden("/auth/logout")["token"]
        answer = await self.browser.post(ADMIN + path, {"token": token, **fields})
        assert answer.status == status, (answer.status, self.refusal())
        self.house.resources.memory.forget()
        if status == 303:
            return unescape(await seen(self.browser, answer["Location"]))
        return self.text

    async def actors(self, actions: str) -> set[str]:
        """Who did such things, as the trail has it."""
        await audit.flush(self.house.resources)
        rows = await self.house.resources.database.read(
            trail.find, Filter(actions=(actions,)), 0, 100
        )
        return {row.actor for row in rows}

    def refusal(self) -> str:
        """Why the form was not taken."""
        return " ".join(re.findall(r'role="alert"[^>]*>(.*?)</p>', self.text, re.DOTALL))

    def typed(self, name: str) -> str:
        """What a field has."""
        found = re.search(rf'name="{name}" type="text" value="(.*?)" maxlength', self.text)
        assert found is not None, name
        return found[1]
