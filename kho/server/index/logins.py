"""Who a user name and a password are: the one place where credentials are believed.

    an access token ─── credentials                       never throttled by account
    a CI job's token ── workload
    a password ── refused a moment ago? ── proven a moment ago? ── throttle
                    ── argon2 + bcrypt ── directory ── right: remembered; wrong: counted

Every password costs one argon2id, one bcrypt where there is an htpasswd file, and, unless it is
right by then, one search and one bind where there is a directory: whether the user is unknown,
disabled, or known by another source. An embedded account hides whoever has its name elsewhere.
"""

import asyncio
import hmac
import secrets
import time
from collections import OrderedDict
from typing import Final, NamedTuple

from kho.oci.errors import RegistryError, TooManyRequests, Unauthorized, Words
from kho.server import telemetry
from kho.server.database.identities import accounts, groups
from kho.server.database.identities.accounts import AccountRow
from kho.server.index import audit, throttle
from kho.server.index.sources import htpasswd, ldap, passwords
from kho.server.index.throttle import Admission
from kho.server.index.tokens import credentials
from kho.server.index.workloads import workload
from kho.server.policy.identity import Identity
from kho.server.policy.names import RESERVED, is_name
from kho.server.policy.throttle import place_of
from kho.server.resources import Resources
from kho.server.threads import FileThreads

WRONG: Final = Words("authentication required: wrong user name or password")
GONE: Final = Words("authentication required: the account of this token is gone")
REMEMBERED: Final = 10_000
OWNER_SECONDS: Final = 60.0
# Of one access token from one address the trail has one login in this time.
NOTED_SECONDS: Final = 60.0

_NAME_CHARACTERS: Final = 255


class _Secret:
    """A key of this process alone: what is remembered of passwords is of no use elsewhere."""

    def __init__(self) -> None:
        self.key = secrets.token_bytes(32)


class _Proof(NamedTuple):
    """A password that was right; `until` is monotonic, `hashed` the line of an htpasswd file."""

    identity: Identity
    until: float
    hashed: str | None


class _Proofs:
    """Passwords that were right, and those that are being looked at; gone when rights change."""

    def __init__(self) -> None:
        self.known: OrderedDict[bytes, _Proof] = OrderedDict()
        self.tasks: dict[bytes, asyncio.Task[Identity]] = {}


class _Noted:
    """Until when (monotonic) logins with a token are not noted again."""

    def __init__(self) -> None:
        self.until: OrderedDict[tuple[int | None, str], float] = OrderedDict()


class _Owners:
    """Until when (monotonic) users of a directory are believed to be there."""

    def __init__(self) -> None:
        self.until: dict[str, float] = {}


class _Attempt(NamedTuple):
    username: str  # as it was given
    account: str  # as accounts are called
    password: str
    given: bytes
    address: str
    place: str


def begin(resources: Resources) -> None:
    """Start the threads that the configuration needs, before there is a request."""
    keep, config = resources.memory.keep, resources.config
    keep(passwords.Line)
    if config.auth.htpasswd or config.tls.acme_folder:
        keep(FileThreads)
    if config.ldap.url:
        keep(ldap.Directory)


async def authenticate(
    resources: Resources, username: str, password: str, address: str
) -> Identity:
    """Who signs in; with a token as password the name does not matter.

    Raises Unauthorized, TooManyRequests, Unavailable.
    """
    try:
        if credentials.looks_like(password):
            identity = await credentials.identify(resources, password, credentials.ACCESS_TOKENS)
            await _check_owner(resources, identity)
            _note_token(resources, identity, address)
            return identity
        if workload.looks_like(password):
            identity = await workload.identify(resources, password, address)
            _note_login(resources, identity, address)
            return identity
    except Unauthorized:
        _note_failure(resources, address, "failed")
        raise
    return await _by_password(resources, username, password, address)


async def _check_owner(resources: Resources, identity: Identity) -> None:
    """Raise Unauthorized for a token of who left the file or the directory.

    The directory is asked once in a while only: a token must not cost it a search each time.
    """
    until = resources.memory.drawer(_Owners).until
    if until.get(identity.subject, 0.0) > time.monotonic():
        return
    if not await still_there(resources, identity):
        raise Unauthorized("%(reason)s", reason=GONE)
    if identity.source == "ldap":
        if len(until) >= REMEMBERED:
            until.clear()
        until[identity.subject] = time.monotonic() + OWNER_SECONDS


async def still_there(resources: Resources, identity: Identity) -> bool:
    """Whether a user of a file or a directory, or a workload of a rule, may still come in.

    True for all others. A directory's groups are read again. Raises Unavailable.
    """
    if identity.source == "workload":
        return await workload.still_trusted(resources, identity)
    if identity.source not in ("htpasswd", "ldap"):
        return True
    name = identity.subject.removeprefix("user:")
    if await resources.database.read(accounts.find, name.lower()) is not None:
        return False
    if identity.source == "htpasswd":
        file = await htpasswd.users(resources)
        return file is not None and name in file.hashes
    directory = bool(resources.config.ldap.url)
    member_of = await ldap.groups_of(resources, name) if directory else None
    if member_of is None:
        return False
    await resources.database.write(groups.replace, name, "ldap", member_of)
    return True


async def _by_password(
    resources: Resources, username: str, password: str, address: str
) -> Identity:
    given = passwords.encoded(password)
    if given is None or not _possible(username):
        _note_failure(resources, address, "failed")
        raise Unauthorized("%(reason)s", reason=WRONG)
    attempt = _Attempt(username, username.lower(), password, given, address, place_of(address))
    proofs = resources.memory.drawer(_Proofs)
    try:
        throttle.refuse_known(resources, attempt.account, attempt.place)
        mark = _mark(resources, attempt)
        known = proofs.known.get(mark)
        if known is not None and await _holds(resources, known):
            proofs.known.move_to_end(mark)
            return known.identity
        # Of those who come at once with the same password one does the work.
        task = proofs.tasks.get(mark)
        if task is None:
            task = proofs.tasks[mark] = asyncio.create_task(
                _prove(resources, attempt, proofs, mark)
            )
            task.add_done_callback(lambda done: _ended(proofs, mark, done))
        return await asyncio.shield(task)
    except TooManyRequests:
        _note_failure(resources, address, "denied")
        raise


async def _prove(resources: Resources, attempt: _Attempt, proofs: _Proofs, mark: bytes) -> Identity:
    admission = await throttle.admit(resources, attempt.account, attempt.place)
    row = await resources.database.read(accounts.find, attempt.account)
    proof = await _in_rows_and_file(resources, attempt, row, admission)
    if proof is None and resources.config.ldap.url:
        try:
            proof = await _in_directory(resources, attempt, row)
        except RegistryError:  # or guessing would be free while the directory is down
            await throttle.failed(resources, admission)
            raise
    if proof is None:
        await throttle.failed(resources, admission)
        _note_failure(resources, attempt.address, "failed", attempt.username)
        raise Unauthorized("%(reason)s", reason=WRONG)
    resources.memory.keep(passwords.Line).forgive()
    await throttle.succeeded(resources, admission, embedded=row is not None)
    _note_login(resources, proof.identity, attempt.address)
    proofs.known[mark] = proof
    if len(proofs.known) > REMEMBERED:
        proofs.known.popitem(last=False)
    return proof.identity


async def _in_rows_and_file(
    resources: Resources, attempt: _Attempt, row: AccountRow | None, admission: Admission
) -> _Proof | None:
    """Ask the embedded account and the file, with the same work whoever is there."""
    file = await htpasswd.users(resources)
    line = file.named(attempt.username, attempt.account) if file and row is None else None
    hashed = None if row is None else row.password_hash
    cost = resources.memory.keep(passwords.Line).cost

    def work() -> tuple[bool, bool]:
        right = passwords.argon2_matches(hashed, attempt.given, cost)
        if file is None or file.cost is None:
            return right, False
        of_file = passwords.bcrypt_matches(line[1] if line else None, attempt.given, file.cost)
        return right, of_file

    embedded, of_file = await passwords.hashing(
        resources, work, familiar=admission.familiar, wrong=lambda done: not any(done)
    )
    if embedded and row is not None and not row.disabled:
        await _rehash(resources, attempt, hashed or "", cost)
        return _proof(resources, attempt.account, "local")
    if of_file and line is not None:
        return _proof(resources, line[0], "htpasswd", line[1])
    return None


async def _rehash(
    resources: Resources, attempt: _Attempt, hashed: str, cost: passwords.Cost
) -> None:
    """Hash a password that is right as new ones are, where they have changed since."""
    if not passwords.outdated(hashed, cost):
        return
    try:
        new = await passwords.hash_password(resources, attempt.password)
        await resources.database.write(accounts.rehash, attempt.account, hashed, new)
    except RegistryError as error:  # the next login will do it
        telemetry.log_failure("password not hashed anew", error, user=attempt.account)


async def _in_directory(
    resources: Resources, attempt: _Attempt, row: AccountRow | None
) -> _Proof | None:
    """Ask the directory; for a name that is not its own, ask it for nobody."""
    file = await htpasswd.users(resources)
    elsewhere = row is not None or (file and file.named(attempt.username, attempt.account))
    if elsewhere or not is_name(attempt.account):
        await ldap.ask_for_nobody(resources)
        return None
    member_of = await ldap.authenticate(resources, attempt.account, attempt.password)
    if member_of is None:
        return None
    await resources.database.write(groups.replace, attempt.account, "ldap", member_of)
    return _proof(resources, attempt.account, "ldap")


def _proof(resources: Resources, name: str, source: str, hashed: str | None = None) -> _Proof:
    until = time.monotonic() + resources.config.auth.password_seconds
    return _Proof(Identity(f"user:{name}", source), until, hashed)


async def _holds(resources: Resources, proof: _Proof) -> bool:
    if proof.until <= time.monotonic():
        return False
    if proof.hashed is None:
        return True
    file = await htpasswd.users(resources)
    name = proof.identity.subject.removeprefix("user:")
    return file is not None and file.hashes.get(name) == proof.hashed


def _possible(username: str) -> bool:
    """Whether anybody could be called that."""
    return (
        0 < len(username) <= _NAME_CHARACTERS
        and username.isprintable()
        and ":" not in username
        and username.lower() not in RESERVED
    )


def _mark(resources: Resources, attempt: _Attempt) -> bytes:
    """What the password is remembered by: at its address, so that nobody elsewhere can ask."""
    parts = (attempt.place.encode(), attempt.username.encode(), attempt.given)
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hmac.digest(resources.memory.keep(_Secret).key, message, "sha256")


def _ended(proofs: _Proofs, mark: bytes, task: asyncio.Task[Identity]) -> None:
    proofs.tasks.pop(mark, None)
    if not task.cancelled():
        task.exception()  # whoever waited has it; if all have gone, nobody wants it


def _note_login(resources: Resources, identity: Identity, address: str) -> None:
    details = {"source": identity.source, **(identity.details or {})}
    event = audit.Event("login", "allowed", identity.subject, address=address, details=details)
    audit.note(resources, event)


def _note_token(resources: Resources, identity: Identity, address: str) -> None:
    until = resources.memory.keep(_Noted).until
    key = (identity.credential, address)
    now = time.monotonic()
    if until.get(key, 0.0) > now:
        return
    until[key] = now + NOTED_SECONDS
    until.move_to_end(key)
    if len(until) > REMEMBERED:
        until.popitem(last=False)
    _note_login(resources, identity, address)


def _note_failure(
    resources: Resources, address: str, outcome: str, username: str | None = None
) -> None:
    """Only a name that cost a hash is told: whoever sends names cannot fill the trail."""
    target = None if username is None else f"user:{username}"
    event = audit.Event("login", outcome, "anonymous", target=target, address=address)
    audit.note(resources, event)
