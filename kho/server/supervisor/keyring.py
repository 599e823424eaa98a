"""The certificates that workers serve with, and a watch over their files.

Workers take them from memory (memfd), as the parent has checked them: a worker that is replaced
while someone writes the files starts all the same, and no key is written anywhere.
"""

import os
import time
from collections.abc import Container
from dataclasses import replace
from typing import Final

from kho.server import telemetry
from kho.server.identity_settings import TlsSettings
from kho.server.supervisor.certificates import Certificates, Unusable, read

LOOK_SECONDS: Final = 1.0
SOON_DAYS: Final = 7

# enabled, certificate, key, password, least version, CA, revocation lists, client must show one
Context = tuple[bool, str | None, str | None, None, str, str | None, list[str], bool]
Looks = tuple[tuple[int, ...] | None, ...]

PLAIN: Final[Context] = (False, None, None, None, "tls1.2", None, [], False)


class Keyring:
    """Made before anything is started; raises Unusable when a file is wrong."""

    def __init__(self, settings: TlsSettings, named: Container[str] = ()) -> None:
        """`named` are the keys of settings that were given: a default asks for nothing."""
        self.settings = settings
        self._seen = self._last = _looks(settings)
        self._held = _checked(settings, named)
        self._look_at = time.monotonic() + LOOK_SECONDS
        self._files: list[int] = []
        self.context = PLAIN
        self._expose()

    def in_force(self, settings: TlsSettings) -> TlsSettings:
        """The settings with the files and modes that are served with in truth."""
        held = self.settings
        return replace(
            settings,
            cert=held.cert,
            key=held.key,
            minimum=held.minimum,
            client_ca=held.client_ca,
            client_auth=held.client_auth,
        )

    @property
    def enabled(self) -> bool:
        """Whether workers speak TLS."""
        return self._held is not None

    def renew(self, settings: TlsSettings, named: Container[str] = ()) -> bool:
        """Take what the files hold now; whether workers must be rolled. The old stay if wrong.

        TLS is neither begun nor ended here: clients would need another URL.
        """
        looks = _looks(settings)
        try:
            if bool(settings.cert or settings.key) != self.enabled:
                raise Unusable("TLS is switched on and off by a restart only")
            held = _checked(settings, named)
        except Unusable as error:
            telemetry.log_event("certificate not reloaded", "error", problem=str(error))
            if _paths(settings) == _paths(self.settings):
                self._seen = self._last = looks  # told once, and tried again when they change
            return False
        same = held == self._held and _modes(settings) == _modes(self.settings)
        self.settings, self._held = settings, held
        self._seen = self._last = looks
        if not same:
            self._expose()
        return not same

    def patience(self) -> float | None:
        """Seconds until the files are to be looked at; None when there are none."""
        return max(0.0, self._look_at - time.monotonic()) if self.enabled else None

    def changed(self) -> bool:
        """Whether files changed, and stayed so for one look: several are written, one by one."""
        if not self.enabled or time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + LOOK_SECONDS
        looks, last = _looks(self.settings), self._last
        self._last = looks
        return looks == last != self._seen

    def _expose(self) -> None:
        """Put what is held where workers that are started from now on read it."""
        for file in self._files:
            os.close(file)
        self._files = []
        held = self._held
        if held is None:
            return
        self.context = (
            True,
            self._kept("certificate", held.chain),
            self._kept("key", held.key),
            None,
            f"tls{self.settings.minimum}",
            self._kept("clients", held.client_ca) if held.client_ca else None,
            [],
            bool(held.client_ca) and self.settings.client_auth == "required",
        )
        _tell(held)

    def _kept(self, name: str, content: bytes) -> str:
        file = os.memfd_create(f"kho-{name}", os.MFD_CLOEXEC)
        self._files.append(file)
        os.write(file, content)
        path = f"/proc/self/fd/{file}"
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            text = f"{path} cannot be opened: {error.strerror}; TLS needs /proc"
            raise Unusable(text) from None
        return path


def _checked(settings: TlsSettings, named: Container[str]) -> Certificates | None:
    if "tls.client_auth" in named and not settings.client_ca:
        text = "tls.client_auth is set, but tls.client_ca is not: no certificate would be asked"
        raise Unusable(text)
    return read(settings)


def _modes(settings: TlsSettings) -> tuple[str, str]:
    """What else changes how workers serve."""
    return settings.minimum, settings.client_auth


def _paths(settings: TlsSettings) -> tuple[str, str, str]:
    return settings.cert, settings.key, settings.client_ca


def _looks(settings: TlsSettings) -> Looks:
    """How the files look from outside; a swapped symlink shows another file behind it."""
    return tuple(_look(path) for path in _paths(settings) if path)


def _look(path: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _tell(held: Certificates) -> None:
    days, until = held.days_left, held.valid_until.isoformat()
    telemetry.log_event("certificate loaded", valid_until=until, days_left=days)
    if days < 0:
        telemetry.log_event("certificate has expired", "warning", valid_until=until)
    elif days < SOON_DAYS:
        telemetry.log_event("certificate expires soon", "warning", valid_until=until)
    if held.valid_from.timestamp() > time.time():
        since = held.valid_from.isoformat()
        telemetry.log_event("certificate is not valid yet", "warning", valid_from=since)
