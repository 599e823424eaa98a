"""What commands that speak to registries share: their options, connections, logins, and the end."""

import importlib
import logging
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kho.cli import exits

if TYPE_CHECKING:
    from kho.client.logins.credentials import Keychain
    from kho.remote.registry import Registry
    from kho.remote.transport import Transport

Command = Callable[..., Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Wire:
    """Connections of one run: registries by name, over one transport, with the user's logins."""

    transport: "Transport"
    keychain: "Keychain"
    plain_http: bool
    insecure: bool
    ca_files: tuple[Path, ...]
    auth_hosts: frozenset[str]

    def registry(self, name: str) -> "Registry":
        """A registry, asked with the user's login."""
        from kho.remote.hosts import Access  # noqa: PLC0415
        from kho.remote.registry import Registry  # noqa: PLC0415

        _load_http()
        access = Access(self.plain_http, self.insecure, self.ca_files, self.auth_hosts)
        return Registry(name, access=access, lookup=self.keychain.find, transport=self.transport)


def _load_http() -> None:
    """Import aiohttp without the two TLS contexts that it makes for itself, 45 ms.

    They stay empty, and trust nobody; every request here brings its own (kho/remote/hosts.py).
    """
    if "aiohttp" in sys.modules:
        return
    names = "SSL_CERT_FILE", "SSL_CERT_DIR"
    kept = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, os.devnull))
    try:
        importlib.import_module("kho.remote.http")
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def wired(function: Command) -> Callable[..., None]:
    """Make a coroutine function, whose first argument is a Wire, the body of a command."""

    @click.option("--plain-http", is_flag=True, help="Speak HTTP without TLS.")
    @click.option("--insecure", is_flag=True, help="Take any certificate.")
    @click.option(
        "--ca-file",
        "ca_files",
        multiple=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Trust this CA as well (PEM).",
    )
    @click.option(
        "--auth-host",
        "auth_hosts",
        multiple=True,
        metavar="HOST",
        help="A token server of another domain that may get the password.",
    )
    @click.option("--debug", is_flag=True, help="Tell each request on standard error.")
    @wraps(function)
    def command(
        *,
        plain_http: bool,
        insecure: bool,
        ca_files: tuple[Path, ...],
        auth_hosts: tuple[str, ...],
        debug: bool,
        **arguments: object,
    ) -> None:
        if debug:
            logging.basicConfig(stream=sys.stderr, format="%(message)s")
            logging.getLogger("kho").setLevel(logging.DEBUG)

        import asyncio  # noqa: PLC0415 - help needs none

        async def run() -> None:
            from kho.client.logins.credentials import Keychain  # noqa: PLC0415
            from kho.remote.transport import Transport  # noqa: PLC0415

            async with AsyncExitStack() as stack:
                transport = await stack.enter_async_context(Transport())
                wire = Wire(
                    transport,
                    Keychain.of_user(),
                    plain_http,
                    insecure,
                    ca_files,
                    frozenset(host.lower() for host in auth_hosts),
                )
                await function(wire, **arguments)

        try:
            asyncio.run(run())
        except KeyboardInterrupt:
            exits.fail("interrupted", exits.INTERRUPTED)
        except Exception as error:  # noqa: BLE001 - what is not ours is raised again
            exits.fail_by(error)

    return command
