"""Whether a login still holds: the registry is asked, and nothing is changed by it."""

from dataclasses import dataclass

from kho.client.logins.claims import subject_of
from kho.remote.credentials import Credential
from kho.remote.errors import LoginNeeded, RemoteError
from kho.remote.registry import Registry

ACCEPTED, REFUSED, UNKNOWN, OPEN = "accepted", "refused", "not known", "not asked for"


@dataclass(frozen=True, slots=True)
class Standing:
    """`state` is one of the four words above; the subject is the token's, where it says one."""

    state: str
    subject: str | None = None
    told: str | None = None


async def ask(registry: Registry, credential: Credential) -> Standing:
    """Log in with it, without asking for anything to keep."""
    try:
        if await registry.challenge() is None:
            return Standing(OPEN, told=f"{registry.name} asks nobody for a login")
        token = await registry.login(credential, offline=False)
    except LoginNeeded as error:
        return Standing(REFUSED, told=str(error))
    except RemoteError as error:
        return Standing(UNKNOWN, told=str(error))
    return Standing(ACCEPTED, None if token is None else subject_of(token.text))
