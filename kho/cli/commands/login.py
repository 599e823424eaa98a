"""`kho login HOST[/PATH]`."""

import sys
from typing import TYPE_CHECKING

import click

from kho.cli import exits, shown
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire
    from kho.remote.auth import Token
    from kho.remote.credentials import Credential
    from kho.remote.registry import Registry


@click.command("login")
@click.argument("host", default="docker.io")
@click.option("-u", "--username", metavar="NAME", help="Who; asked for where it is left out.")
@click.option("-p", "--password", metavar="SECRET", help="Better by --password-stdin.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--device", is_flag=True, help="Sign in with a browser, here or elsewhere.")
@click.option("--ci", is_flag=True, help="With the signed token that a CI job or pod has.")
@click.option("--audience", metavar="TEXT", help="Whom GitHub's token is for  [https://HOST].")
@click.option("--token-variable", metavar="NAME", help="The variable that holds the CI token.")
@wired
async def command(
    wire: "Wire",
    host: str,
    username: str | None,
    password: str | None,
    audience: str | None,
    token_variable: str | None,
    *,
    password_stdin: bool,
    device: bool,
    ci: bool,
) -> None:
    """Log in to a registry, or with another account to a part of it (HOST/PATH).

    The login is kept where docker keeps it: in config.json, or with its credential helper.
    """
    from kho.oci.reference import parse_host  # noqa: PLC0415

    name, slash, path = host.removeprefix("https://").rstrip("/").partition("/")
    registry = wire.registry(parse_host(name))
    given = bool(username or password or password_stdin)
    if device + ci + given > 1:
        exits.fail("--device, --ci and a name with a password exclude each other", exits.USAGE)
    if (audience or token_variable) and not ci:
        exits.fail("--audience and --token-variable need --ci", exits.USAGE)
    if device:
        credential = await _by_browser(registry)
    elif ci:
        credential = await _by_token(wire, registry, audience, token_variable)
    else:
        credential = await _by_password(registry, username, password, password_stdin=password_stdin)
    place = await wire.keychain.store(registry.name + slash + path, credential)
    if await registry.challenge() is None:
        shown.line(f"kho: warning: {registry.name} asks nobody for a login", err=True)
    who = f" as {credential.username}" if credential.username else ""
    shown.line(f"Logged in to {registry.name}{slash}{path}{who}; kept in {place}")


async def _by_browser(registry: "Registry") -> "Credential":
    from kho.client.logins import device_login  # noqa: PLC0415
    from kho.client.logins.claims import subject_of  # noqa: PLC0415
    from kho.remote.credentials import Credential, Kind  # noqa: PLC0415

    client = device_login.client_name()
    asked = await device_login.begin(registry, client)
    shown.line(f"Open {asked.page} in a browser and enter the code {asked.user_code}", err=True)
    if asked.complete is not None:
        shown.line(f"or open {asked.complete} and compare the code", err=True)
    shown.line(f"waiting, {asked.seconds / 60:.0f} minutes at most ...", err=True)
    token = await device_login.wait(registry, asked, client)
    user = (subject_of(token.text) or "").removeprefix("user:")
    if token.refresh is not None:
        return Credential(user, token.refresh, Kind.IDENTITY_TOKEN)
    _warn_of_end(token.seconds)
    return Credential(user, token.text, Kind.REGISTRY_TOKEN)


async def _by_token(
    wire: "Wire", registry: "Registry", audience: str | None, variable: str | None
) -> "Credential":
    """The token server's refresh token is kept, which outlives the job's own; else that one."""
    import os  # noqa: PLC0415
    import time  # noqa: PLC0415

    from kho.client.logins import ci_login  # noqa: PLC0415
    from kho.remote.credentials import Credential  # noqa: PLC0415

    meant = audience or f"https://{registry.name}"
    found = await ci_login.find(os.environ, meant, wire.transport, variable=variable)
    shown.line(f"token of this job: {found.origin}", err=True)
    credential = Credential(ci_login.USER, found.token)
    kept = _kept(credential, await registry.login(credential))
    if kept is credential and found.ends is not None:
        _warn_of_end(found.ends - time.time())
    return kept


async def _by_password(
    registry: "Registry", username: str | None, password: str | None, *, password_stdin: bool
) -> "Credential":
    from kho.remote.credentials import Credential  # noqa: PLC0415

    user, secret = _asked(username, password, password_stdin=password_stdin)
    credential = Credential(user, secret)
    return _kept(credential, await registry.login(credential))


def _kept(credential: "Credential", token: "Token | None") -> "Credential":
    from kho.remote.credentials import Credential, Kind  # noqa: PLC0415

    if token is None or token.refresh is None:
        return credential
    return Credential(credential.username, token.refresh, Kind.IDENTITY_TOKEN)


def _warn_of_end(seconds: float) -> None:
    shown.line(f"kho: warning: this login ends in {seconds / 60:.0f} minutes", err=True)


def _asked(username: str | None, password: str | None, *, password_stdin: bool) -> tuple[str, str]:
    if password_stdin:
        if password is not None:
            exits.fail("--password and --password-stdin exclude each other", exits.USAGE)
        if username is None:
            exits.fail("--password-stdin needs --username", exits.USAGE)
        password = sys.stdin.read().rstrip("\r\n")
    elif password is not None:
        shown.line("kho: warning: --password can be seen by others; use --password-stdin", err=True)
    if username is None:
        username = _prompt("Username")
    if password is None:
        password = _prompt("Password", hide=True)
    if not username or not password:
        exits.fail("user name and password must not be empty", exits.USAGE)
    return username, password


def _prompt(what: str, *, hide: bool = False) -> str:
    import signal  # noqa: PLC0415

    # asyncio's handler only notes the first Ctrl-C, and the prompt would wait on.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        answer: str = click.prompt(what, hide_input=hide, err=True)
    except click.Abort:
        shown.line(err=True)
        if sys.stdin.isatty():
            exits.fail("interrupted", exits.INTERRUPTED)
        text = "nobody is there to be asked: --username and --password-stdin, or --ci"
        exits.fail(text, exits.USAGE)
    finally:
        signal.signal(signal.SIGINT, before)
    return answer
