"""A browser at a registry under test: it keeps cookies, and fills in the forms of pages."""

import html
import re
from urllib.parse import urlencode, urlsplit

from tests.flows.client import Answer, Client
from tests.flows.registry import Registry
from tests.provider import Provider

HOST = "127.0.0.1:5000"
Field = tuple[str, str]


class Browser:
    """One person's browser; `page` is what it shows."""

    def __init__(self, registry: Registry, base: str = f"http://{HOST}") -> None:
        self.registry = registry
        self.base = base
        self.cookies: dict[str, str] = {}
        self.page: Answer | None = None

    @property
    def client(self) -> Client:
        """Any worker will do."""
        return self.registry.client

    def _headers(self) -> list[Field]:
        found = [("Host", urlsplit(self.base).netloc), ("User-Agent", "Browser/1.0")]
        if self.cookies:
            pairs = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
            found.append(("Cookie", pairs))
        return found

    def _keep(self, answer: Answer) -> Answer:
        for line in answer.all("set-cookie"):
            first, *rest = (part.strip() for part in line.split(";"))
            name, _, value = first.partition("=")
            assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(rest), line
            assert ("Secure" in rest) == self.base.startswith("https:"), line
            assert name.startswith("__Host-") == self.base.startswith("https:"), line
            assert not any(part.startswith("Domain") for part in rest), line
            if "Max-Age=0" in rest:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        self.page = answer
        return answer

    async def get(self, location: str) -> Answer:
        """Go somewhere here; redirects are not followed."""
        path = location.removeprefix(self.base)
        return self._keep(await self.client.request("GET", path, headers=self._headers()))

    async def post(self, path: str, fields: dict[str, str], *headers: Field) -> Answer:
        """Send a form; `headers` in place of what a browser says of where it comes from."""
        origin = list(headers) or [("Origin", self.base), ("Sec-Fetch-Site", "same-origin")]
        kind = ("Content-Type", "application/x-www-form-urlencoded")
        body = urlencode(fields).encode()
        answer = await self.client.request("POST", path, body, [*self._headers(), kind, *origin])
        return self._keep(answer)

    @property
    def text(self) -> str:
        """The page, as markup."""
        assert self.page is not None
        return self.page.body.decode()

    def hidden(self, path: str = "") -> dict[str, str]:
        """The hidden fields of the page, or of its first form that goes to `path`."""
        text = self.text
        if path:
            text = text.partition(f'<form method="post" action="{html.escape(path)}"')[2]
            assert text, f"no form for {path}"
            text = text.partition("</form>")[0]
        found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', text)
        return {name: html.unescape(value) for name, value in found}

    async def submit(self, path: str, *headers: Field, **fields: str) -> Answer:
        """Fill in the page's form and send it."""
        return await self.post(path, {**self.hidden(path), **fields}, *headers)

    async def sign_in(self, username: str, password: str, back: str = "") -> Answer:
        """With the form."""
        await self.get("/auth/login" + (f"?{urlencode({'next': back})}" if back else ""))
        return await self.submit("/auth/login", username=username, password=password)

    async def to_provider(self, back: str = "") -> str:
        """Press the button; where the provider is asked."""
        query = urlencode({"next": back})
        await self.get(f"/auth/login?{query}")
        assert 'class="button plain whole" href="/auth/oidc/login?next=' in self.text
        answer = await self.get(f"/auth/oidc/login?{query}")
        assert answer.status == 303, answer
        return answer["Location"]

    async def sign_in_at(self, provider: Provider, back: str = "") -> int:
        """The whole way to the provider and back; the status of the last answer."""
        answer = await self.get(provider.approve(await self.to_provider(back)))
        return answer.status

    async def user(self) -> dict[str, object] | None:
        """Who one is signed in as."""
        answer = await self.client.request("GET", "/auth/session", headers=self._headers())
        found: dict[str, object] | None = answer.json()["user"]
        return found
