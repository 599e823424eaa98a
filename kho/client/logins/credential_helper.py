"""Programs that keep passwords: `docker-credential-<name>` get, store, erase, list (12.2)."""

import asyncio
import json
import re
import shutil
from typing import Final

from kho.client.errors import ClientError
from kho.remote.credentials import Credential, Kind
from kho.remote.errors import printable

SECONDS: Final = 60.0
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
# What helpers say, on standard output, when they have nothing.
_NOTHING: Final = "credentials not found in native keychain"
# The user name of a secret that is an identity token.
TOKEN_USER: Final = "<token>"  # noqa: S105


class HelperFailed(ClientError):
    """A helper is missing or says no; one line that names it."""


class Helper:
    """One program."""

    def __init__(self, name: str) -> None:
        if _NAME.fullmatch(name) is None:
            raise HelperFailed(f"{name!a:.100} is no name of a credential helper")
        self.program = f"docker-credential-{name}"

    async def get(self, server: str) -> Credential | None:
        """What it keeps for a server; None where it keeps nothing."""
        status, out = await self._run("get", server)
        if status != 0:
            if _NOTHING in out:
                return None
            raise self._failed("get", server, out)
        try:
            found = json.loads(out)
            user, secret = found["Username"], found["Secret"]
        except (ValueError, KeyError, TypeError) as error:
            raise HelperFailed(f"{self.program} get {server}: the answer cannot be read") from error
        if not isinstance(user, str) or not isinstance(secret, str) or not secret:
            return None
        if user == TOKEN_USER:
            return Credential("", secret, Kind.IDENTITY_TOKEN)
        return Credential(user, secret)

    async def store(self, server: str, credential: Credential) -> None:
        """Keep it."""
        user = credential.username
        if credential.kind is Kind.IDENTITY_TOKEN:
            user = TOKEN_USER
        text = json.dumps({"ServerURL": server, "Username": user, "Secret": credential.secret})
        status, out = await self._run("store", text)
        if status != 0:
            raise self._failed("store", server, out)

    async def erase(self, server: str) -> bool:
        """Forget it; False where there was nothing."""
        status, out = await self._run("erase", server)
        if status != 0 and _NOTHING not in out:
            raise self._failed("erase", server, out)
        return status == 0

    async def list(self) -> dict[str, str]:
        """User names by server, as it keeps them."""
        status, out = await self._run("list", "")
        if status != 0:
            raise self._failed("list", "", out)
        try:
            found = json.loads(out or "{}")
        except ValueError as error:
            raise HelperFailed(f"{self.program} list: the answer cannot be read") from error
        pairs = found.items() if isinstance(found, dict) else ()
        return {server: user for server, user in pairs if isinstance(user, str)}

    async def _run(self, verb: str, text: str) -> tuple[int, str]:
        program = shutil.which(self.program)
        if program is None:
            raise HelperFailed(
                f"{self.program} is named in docker's config.json and not found on PATH"
            )
        try:
            process = await asyncio.create_subprocess_exec(
                program, verb, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
        except OSError as error:
            raise HelperFailed(f"{self.program} cannot be started: {error.strerror}") from error
        try:
            async with asyncio.timeout(SECONDS):
                out, _ = await process.communicate(text.encode())
        except TimeoutError as error:
            raise HelperFailed(f"{self.program} {verb}: no answer in {SECONDS:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0, out.decode("utf-8", "replace")

    def _failed(self, verb: str, server: str, out: str) -> HelperFailed:
        return HelperFailed(
            f"{self.program} {verb} {server}".rstrip() + f": {printable(out) or 'failed'}"
        )
