"""What can go wrong on the way to a registry; each is one line for the user.

RemoteError
├── Unreachable        no connection, no answer in time, or the answer broke off
├── UntrustedServer    its certificate does not hold
├── Refused            an answer that says no: `status`, `codes`
│   ├── NotFound       404: no such repository, tag or digest, or no right to see it
│   ├── LoginNeeded    401: no credentials, or wrong ones
│   ├── Forbidden      403
│   └── TooBusy        429: `retry_after` in seconds, where told
├── CredentialsHeld    they would go to a host that the user has not named (E1, E2)
├── Garbled            an answer that breaks the protocol
└── ContentMismatch    bytes that are not those of the digest, or not as many
"""

from typing import Final

_SHOWN: Final = 400


class RemoteError(Exception):
    """Something is wrong between here and the registry."""


class Unreachable(RemoteError):
    """No connection, or it broke."""


class UntrustedServer(RemoteError):
    """The server's certificate does not hold."""


class CredentialsHeld(RemoteError):
    """Credentials were not sent, as they would have left the registry's own domain."""


class Garbled(RemoteError):
    """The answer breaks the protocol."""


class ContentMismatch(RemoteError):
    """The bytes are not those that were asked for."""


class Refused(RemoteError):
    """An answer that says no, with the codes of the distribution specification."""

    def __init__(self, step: str, status: int, codes: tuple[str, ...], told: str) -> None:
        super().__init__(f"{step}: {told} ({status})" if told else f"{step}: status {status}")
        self.step = step
        self.status = status
        self.codes = codes
        # Seconds that the registry wants to be left alone, where it says so.
        self.retry_after: float | None = None


class NotFound(Refused):
    """Not there, or not for these credentials."""


class LoginNeeded(Refused):
    """No credentials, or wrong ones."""


class Forbidden(Refused):
    """The credentials are known and have no right to this."""


class TooBusy(Refused):
    """Over a limit of the registry, longer than it was worth waiting."""


_KINDS: Final[dict[int, type[Refused]]] = {
    401: LoginNeeded,
    403: Forbidden,
    404: NotFound,
    429: TooBusy,
}


def refused(step: str, status: int, content_type: str, body: bytes) -> Refused:
    """The error of an answer; `step` says what was asked of whom."""
    codes, told = _read(content_type, body)
    return _KINDS.get(status, Refused)(step, status, codes, printable(told))


def told(body: bytes) -> str:
    """The words of an error body, in one line; empty where it is none."""
    from kho.oci.strict_json import JsonRefused, parse_object  # noqa: PLC0415

    try:
        value = parse_object(body)
    except JsonRefused:
        return ""
    words = value.get("error_description")
    if isinstance(words, str):
        return printable(words)
    return printable(_read("", body)[1]) if isinstance(value.get("errors"), list) else ""


def printable(text: str) -> str:
    """One line that can do nothing to a terminal or a log, cut to a readable length."""
    line = "".join(sign if sign.isprintable() else " " for sign in text[: 4 * _SHOWN])
    line = " ".join(line.split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + " ..."


def _read(content_type: str, body: bytes) -> tuple[tuple[str, ...], str]:
    """Codes and words of an error body; of what is no error body, the text unless it is a page."""
    from kho.oci.strict_json import JsonRefused, parse_object  # noqa: PLC0415

    text = body.decode("utf-8", "replace").strip()
    try:
        entries = parse_object(body).get("errors")
    except JsonRefused:
        return (), "" if "html" in content_type or text.startswith("<") else text
    if not isinstance(entries, list):
        return (), text
    codes, told = [], []
    for entry in entries:
        if isinstance(entry, dict):
            code, message = entry.get("code"), entry.get("message")
            codes.append(code if isinstance(code, str) else "")
            told.append(message if isinstance(message, str) and message else codes[-1])
    return tuple(codes), "; ".join(dict.fromkeys(filter(None, told)))
