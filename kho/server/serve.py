"""`khod serve`, step by step: folder, lock, database, port, workers, the line that says ready."""

import contextlib
import errno
import fcntl
import os
import resource
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, cast

from kho import __version__
from kho.oci.errors import RegistryError
from kho.server import telemetry
from kho.server.config import Config, ConfigError, changed
from kho.server.doors import Doors, Shut, look
from kho.server.identity_settings import TlsSettings
from kho.server.setting import Address, address_kind, mask_url
from kho.server.supervisor.certificates import Unusable
from kho.server.supervisor.keyring import Keyring
from kho.server.supervisor.parent import AppFactory, Supervisor
from kho.server.supervisor.worker import App

LOCK_SECONDS: Final = 1.0
# A killed worker stays until the disk has done what it had asked for.
ORPHANS_SECONDS: Final = 10.0
PROBE_SECONDS: Final = 2.0
ANY_HOST: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  where to ask, not to bind


class CannotStart(Exception):
    """The server cannot run here; the message is one line for the operator."""


def serve(
    config: Config,
    app_factory: AppFactory | None = None,
    reread: Callable[[], Config] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; the exit code. SIGHUP takes the values that `reread` finds.

    Raises CannotStart, and nothing was changed then.
    """
    os.umask(0o077)
    telemetry.configure(config.log.level, config.log.format, config.log.access)
    for warning in config.warnings:
        telemetry.log_event("configuration", "warning", text=warning)
    _raise_descriptor_limit()
    keyring = _keyring(config)
    with ExitStack() as stack:
        listeners = _listen_or_name_holder(config)
        for listener in listeners:
            stack.enter_context(listener)
        address = Address(config.listen.host, listeners[0].getsockname()[1])
        for listener in open_redirector(config):
            listeners.append(stack.enter_context(listener))
        stack.enter_context(held_folder(config.data))
        prepare_database(config.database_url)
        _prepare_workers(config.database_url)
        doors = _doors(config)
        supervisor = Supervisor(
            config,
            app_factory or _registry(),
            listeners,
            keyring=keyring,
            redirector=partial(_redirector, address.port),
            reload=lambda old: _reloaded(old, reread or (lambda: old)),
            ready=lambda: _announced(config, address, doors),
        )
        code = supervisor.run()
    telemetry.log_event("stopped", code=code)
    return code


@contextlib.contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """Make the data folder if it is absent, and be the only khod that uses it.

    Forked workers hold the lock too: it is free once the last process of the server is gone.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        lock = os.open(folder / "khod.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        text = f"the data folder {folder} cannot be written: {error.strerror}"
        raise CannotStart(text) from None
    try:
        _lock(lock, folder)
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(lock)


def prepare_data(config: Config) -> None:
    """Make data folder and schema ready for a command, beside a running server or without one."""
    os.umask(0o077)
    try:
        config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        text = f"the data folder {config.data} cannot be written: {error.strerror}"
        raise CannotStart(text) from None
    prepare_database(config.database_url)


def prepare_database(url: str) -> str:
    """Create the schema or bring it up to date; what was done. CannotStart when it cannot be."""
    from kho.oci.errors import RegistryError  # noqa: PLC0415
    from kho.server.database.errors import UnusableDatabase  # noqa: PLC0415
    from kho.server.database.open import check, migrate  # noqa: PLC0415

    try:
        state = check(url).value
        if state != "current":
            migrate(url)
    except UnusableDatabase as error:
        raise CannotStart(str(error)) from None
    except RegistryError as error:
        text = f"the database {mask_url(url)} cannot be reached: {error.message}"
        raise CannotStart(text) from None
    except OSError as error:
        text = f"the database {mask_url(url)} cannot be opened: {error.strerror}"
        raise CannotStart(text) from None
    if state != "current":
        telemetry.log_event("database migrated", was=state)
    return state


def open_listeners(address: Address, count: int) -> list[socket.socket]:
    """So many sockets bound to one address, which nobody else listens on.

    They share the port (SO_REUSEPORT), which would also let a second khod join in silence: so the
    address is first bound without sharing.
    """
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, place = found[0][0], found[0][4]
        with _bound(family, place, share=False) as probe:
            place = probe.getsockname()
        return [_bound(family, place, share=True) for _ in range(count)]
    except socket.gaierror:
        raise CannotStart(f"cannot listen on {address}: the host name is unknown") from None
    except OSError as error:
        reasons = {
            errno.EADDRINUSE: "the port is in use",
            errno.EADDRNOTAVAIL: "this machine does not have that address",
            errno.EACCES: "not permitted (ports below 1024 need a right of their own)",
        }
        reason = reasons.get(error.errno or 0, error.strerror)
        raise CannotStart(f"cannot listen on {address}: {reason}") from None


def _keyring(config: Config) -> Keyring:
    try:
        return Keyring(config.tls, named=set(config.sources))
    except Unusable as error:
        raise CannotStart(str(error)) from None


def open_redirector(config: Config) -> list[socket.socket]:
    """The listener for plain HTTP beside TLS, if one is wanted."""
    if not config.tls.http_listen:
        return []
    if not config.tls.cert:
        raise CannotStart("tls.http_listen is set, but tls.cert and tls.key are not")
    try:
        address = address_kind().parse(config.tls.http_listen)
    except ValueError:
        allowed = address_kind().allowed
        raise CannotStart(f"tls.http_listen: allowed is {allowed}") from None
    listeners = open_listeners(cast("Address", address), 1)
    listen = Address(*listeners[0].getsockname()[:2])
    telemetry.log_event("plain HTTP redirects to https", listen=str(listen))
    return listeners


def _redirector(port: int, config: Config) -> App:
    from kho.server.web.acme import Redirector  # noqa: PLC0415

    return Redirector(config, port)


def _listen_or_name_holder(config: Config) -> list[socket.socket]:
    """The listeners; when the port is taken by a khod on the same folder, say that instead."""
    try:
        return open_listeners(config.listen, config.worker_count)
    except CannotStart:
        with contextlib.suppress(OSError):
            lock = os.open(config.data / "khod.lock", os.O_RDONLY | os.O_CLOEXEC)
            try:
                _lock(lock, config.data, seconds=0.0)
            finally:
                os.close(lock)
        raise


def _lock(lock: int, folder: Path, *, seconds: float = LOCK_SECONDS) -> None:
    """Wait a moment for another khod; longer for the workers of a killed one, which are to go."""
    began = time.monotonic()
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
            patience = seconds if _lives(pid) or not seconds else ORPHANS_SECONDS
            if time.monotonic() < began + patience:
                time.sleep(0.05)
                continue
            text = f"the data folder {folder} is in use by another khod (pid {pid or 'unknown'})"
            raise CannotStart(text) from None
        return


def _lives(pid: str) -> bool:
    return not pid.isdecimal() or Path(f"/proc/{pid}").exists()


def _bound(family: int, place: object, *, share: bool) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        one.bind(place)  # type: ignore[arg-type]
    except OSError:
        one.close()
        raise
    return one


def _raise_descriptor_limit() -> None:
    """Use as many descriptors as are allowed: a connection and its file need two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _registry() -> AppFactory:
    """The registry, imported before the workers are forked so that they share its memory."""
    from kho.server.web.app import create_app  # noqa: PLC0415

    return create_app


def _prepare_workers(url: str) -> None:
    from kho.server.database import inherited  # noqa: PLC0415

    inherited.prepare(url)


def _doors(config: Config) -> Doors:
    try:
        return look(config)
    except Shut as error:
        raise CannotStart(str(error)) from None
    except RegistryError as error:
        raise CannotStart(error.message) from None


def _announced(config: Config, address: Address, doors: Doors) -> bool:
    """Whether the server is ready; then the lines on standard output are written."""
    if not _answers(address, config.tls):
        return False
    scheme = "https" if config.tls.cert else "http"
    count = config.worker_count
    workers = "1 worker" if count == 1 else f"{count} workers"
    shown = config.data if config.data.is_absolute() else f"./{config.data}"
    with contextlib.suppress(OSError):
        sys.stdout.write(
            f"khod {__version__} ready at {scheme}://{address} (data {shown}, {workers})"
            + ("; open to all: there is no account yet\n" if doors.open else "\n")
        )
        if doors.code is not None:
            host = socket.gethostname() if address.host in ANY_HOST else address.host
            base = config.http.public_url or f"{scheme}://{Address(host, address.port)}"
            sys.stdout.write(f"first administrator, once: {base}/setup?code={doors.code}\n")
        sys.stdout.flush()
    telemetry.log_event(
        "ready", version=__version__, listen=str(address), workers=count, open=doors.open
    )
    return True


def _answers(address: Address, tls: TlsSettings) -> bool:
    request = (
        f"GET /readyz HTTP/1.1\r\nHost: {address}\r\nUser-Agent: khod\r\nConnection: close\r\n\r\n"
    )
    place = (ANY_HOST.get(address.host, address.host), address.port)
    try:
        with ExitStack() as stack:
            one = stack.enter_context(socket.create_connection(place, timeout=PROBE_SECONDS))
            if tls.cert:
                one = stack.enter_context(_unverified().wrap_socket(one))
            one.sendall(request.encode("ascii"))
            return one.recv(64).startswith(b"HTTP/1.1 200 ")
    except ssl.SSLError as error:
        # Nobody here has a certificate for clients: that the server asks for one shows that it
        # serves, and a worker says that it has started after all that it stands on was opened.
        asked = tls.client_ca and tls.client_auth == "required"
        return bool(asked) and "CERTIFICATE_REQUIRED" in (error.reason or "")
    except OSError:
        return False


def _unverified() -> ssl.SSLContext:
    """To ask ourselves, by address: what the certificate names does not matter."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _reloaded(old: Config, reread: Callable[[], Config]) -> Config | None:
    """The configuration as it is now, but for what only a restart can change; None if wrong."""
    try:
        new = reread()
    except ConfigError as error:
        for problem in error.problems:
            telemetry.log_event("configuration not reloaded", "error", problem=str(problem))
        return None
    differing = changed(old, new)
    fixed = [one.key for one in differing if one.restart]
    if fixed:
        telemetry.log_event("restart needed to change settings", "warning", settings=fixed)
    kept = {
        name: getattr(old, name) for name in ("data", "listen", "workers", "storage", "database")
    }
    telemetry.configure(new.log.level, new.log.format, new.log.access)
    taken = [one.key for one in differing if not one.restart]
    telemetry.log_event("configuration reloaded", changed=taken)
    tls = replace(new.tls, http_listen=old.tls.http_listen)
    return replace(new, tls=tls, **kept)
