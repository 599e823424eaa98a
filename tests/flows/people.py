"""Users and robots of a registry under test, and the tokens that they come with."""

from base64 import b64encode

from kho.server.database import repositories
from kho.server.database.identities import accounts, grants, robots
from kho.server.index.tokens import credentials
from kho.server.policy.access import Allowance, parse_actions
from kho.server.resources import Resources
from tests.flows.client import Answer
from tests.flows.registry import Registry

Field = tuple[str, str]


def resources_of(registry: Registry) -> Resources:
    """What the newest worker stands on."""
    found = registry.workers[-1].app.resources
    assert found is not None
    return found


def basic(name: str, password: str) -> Field:
    """The header of name and password."""
    return "Authorization", "Basic " + b64encode(f"{name}:{password}".encode()).decode()


def bearer(token: str) -> Field:
    """The header of a token."""
    return "Authorization", f"Bearer {token}"


class People:
    """Makes accounts, grants and tokens, as an operator beside the server does."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.resources = resources_of(registry)

    async def user(self, name: str, *, admin: bool = False) -> str:
        """Add a user; the secret of a personal token, which is a password too."""
        await self.resources.database.write(accounts.add, name, source="local", admin=admin)
        return await self.token(f"user:{name}")

    async def robot(self, name: str) -> str:
        """Add a robot; the secret of a token."""
        await self.resources.database.write(robots.add, name)
        return await self.token(f"robot:{name}")

    async def token(
        self, subject: str, *scope: tuple[str, str], name: str = "test", seconds: float = 3600
    ) -> str:
        """Another token; `scope` is pairs of glob and actions, with commas."""
        lines = tuple(Allowance(glob, parse_actions(actions.split(","))) for glob, actions in scope)
        return await credentials.create(
            self.resources,
            kind="robot" if subject.startswith("robot:") else "personal",
            subject=subject,
            name=name,
            ceiling=lines or None,
            expires_seconds=seconds,
        )

    async def grant(self, subject: str, role: str, pattern: str) -> None:
        """Let somebody do something."""
        await self.resources.database.write(grants.add, subject, role, pattern, "test")
        self.forget()

    async def publish(self, name: str) -> None:
        """Let anyone pull it."""
        await self.resources.database.write(repositories.set_public, name, True)
        self.forget()

    def forget(self) -> None:
        """Let every worker see a change now, not within a second."""
        for worker in self.registry.workers:
            if worker.app.resources is not None:
                worker.app.resources.memory.forget()

    async def ask(self, *headers: Field, **query: str) -> Answer:
        """GET /token; several scopes in one value, divided by spaces."""
        pairs = "&".join(f"{key}={value.replace(' ', '%20')}" for key, value in query.items())
        return await self.registry.client.get(f"/token?{pairs}", *headers)

    async def bearer(self, secret: str | None, *scopes: str) -> Field:
        """The header of a token with these scopes; None is anonymous."""
        headers = [] if secret is None else [basic("any", secret)]
        answer = await self.ask(*headers, scope=" ".join(scopes), service="kho")
        assert answer.status == 200, answer
        return bearer(answer.json()["token"])
