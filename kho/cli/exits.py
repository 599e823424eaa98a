"""How a command ends: its exit code, and one line that says what is wrong."""

import os
from typing import Final, NoReturn

from kho.cli import shown

FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
NOT_ALLOWED: Final = 4
UNREACHABLE: Final = 5
WRONG_CONTENT: Final = 6
INTERRUPTED: Final = 130
# As of a program that the kernel ends for writing to nobody: 128 and SIGPIPE.
UNREAD: Final = 141


def fail(text: str, code: int = FAILED) -> NoReturn:
    """End with a line on standard error."""
    shown.line(f"kho: {text}", err=True)
    raise SystemExit(code)


def fail_by(error: Exception) -> NoReturn:
    """End as an error deserves; raise it again if it is none of ours."""
    if isinstance(error, BrokenPipeError):  # as of `kho tags REPOSITORY | head`
        shown.discard()
        raise SystemExit(UNREAD)
    found = code(error)
    if found is None:
        raise error
    fail(words(error), found)


def words(error: Exception) -> str:
    """What an error says, in one line."""
    if isinstance(error, OSError) and error.strerror:
        name = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        return f"{name}{error.strerror}"
    return " ".join(str(error).split())


def code(error: Exception) -> int | None:
    """The exit code of an error; None if it is none of ours."""
    from kho.client.errors import ClientError, Damaged, Missing, Misused  # noqa: PLC0415
    from kho.layers.errors import LayerRefused  # noqa: PLC0415
    from kho.oci.errors import RegistryError  # noqa: PLC0415
    from kho.oci.platform import PlatformInvalid  # noqa: PLC0415
    from kho.oci.reference import ReferenceInvalid  # noqa: PLC0415
    from kho.remote import errors  # noqa: PLC0415

    kinds: tuple[tuple[tuple[type[Exception], ...], int], ...] = (
        ((ReferenceInvalid, PlatformInvalid, Misused), USAGE),
        ((errors.NotFound, Missing), NOT_FOUND),
        ((errors.LoginNeeded, errors.Forbidden, errors.CredentialsHeld), NOT_ALLOWED),
        ((errors.Unreachable, errors.TooBusy, errors.UntrustedServer), UNREACHABLE),
        ((errors.ContentMismatch, Damaged, LayerRefused, RegistryError), WRONG_CONTENT),
        ((errors.RemoteError, ClientError, OSError), FAILED),
    )
    return next((number for classes, number in kinds if isinstance(error, classes)), None)
