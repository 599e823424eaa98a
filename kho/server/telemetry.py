"""Structured log lines on standard error, and request ids."""

import json
import os
import random
import re
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, Literal

Level = Literal["debug", "info", "warning", "error"]

LEVELS: Final = {"debug": 0, "info": 1, "warning": 2, "error": 3}
LINE_BYTES = 4000  # below PIPE_BUF, so that the lines of several workers never mix
FIELD_CHARACTERS = 1024
SHORTER = (160, 40)
MAX_FRAMES = 12

_PLAIN = re.compile(r"[!#-<>-\[\]-~]+")
_CREDENTIALS = re.compile(r"://\S*@")
_QUERY_VALUE = re.compile(r"([?&;][^=&;\s]{0,64}=)[^&;\s]+")
_SECRET_NAME = re.compile(
    r"authorization|cookie|passw|secret|token|credential|private", re.IGNORECASE
)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")

_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode
_string = json.encoder.encode_basestring_ascii


class _State:
    """What `configure` has set; forked workers inherit it."""

    threshold = 1
    text = False
    access = True
    second = 0
    stamp = ""


def configure(level: str, format: str, access: bool) -> None:  # noqa: A002
    """Set the least severe level, `json` or `text`, and whether requests are logged."""
    _State.threshold = LEVELS[level]
    _State.text = format == "text"
    _State.access = access


def new_request_id() -> str:
    """Sixteen hexadecimal digits: no secret, so no system call; each fork seeds anew."""
    return f"{random.getrandbits(64):016x}"


def request_id(offered: bytes | None) -> str:
    """The client's X-Request-ID when it is harmless, else a new one."""
    if offered and _REQUEST_ID.fullmatch(offered):
        return offered.decode("ascii")
    return new_request_id()


def log_event(event: str, level: Level = "info", **fields: object) -> None:
    """Write one line; secrets are recognised by field name and inside URLs, and masked."""
    if LEVELS[level] >= _State.threshold:
        safe = {name: _redacted(name, value) for name, value in fields.items()}
        _write({"time": _now(), "level": level, "event": event, **safe})


def log_failure(event: str, error: BaseException, **fields: object) -> None:
    """Write one line of level error with the exception and where it came from."""
    frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    text = f"{type(error).__name__}: {error}"
    log_event(event, "error", **{**fields, "error": text, "trace": where})


def log_access(
    *,
    scope: Mapping[str, Any],
    route: str,
    status: int,
    seconds: float,
    received: int,
    sent: int,
    request_id: str,
    remote: str = "",
    actor: str | None = None,
) -> None:
    """Write the line of one finished request; of the headers only User-Agent, and no query.

    `remote` is the client's address where a proxy told it, `actor` who signed in.
    """
    if not _State.access:
        return
    client = scope.get("client")
    agent = next((value for key, value in scope["headers"] if key == b"user-agent"), b"")
    # A template takes a third of the time of an encoder, and this line is a part of every answer.
    line = (
        f'{{"time":"{_now()}","level":"info","event":"request",'
        f'"method":{_string(scope["method"][:32])},'
        f'"path":{_string(scope["path"].partition("?")[0][:FIELD_CHARACTERS])},'
        f'"route":"{route}","status":{status},"seconds":{seconds:.6f},'
        f'"received":{received},"sent":{sent},'
        f'"remote":{_string(remote or (client[0] if client else ""))},'
        f'"user_agent":{_string(agent[:FIELD_CHARACTERS].decode("latin-1"))},'
        f'"request_id":"{request_id}"'
    )
    line += "}" if actor is None else f',"actor":{_string(actor)}}}'
    line = line.replace("\x7f", "\\u007f")
    if _State.text or len(line) > LINE_BYTES:
        _write(json.loads(line))
    else:
        _put(line + "\n")


def _now() -> str:
    now = time.time()
    second = int(now)
    if second != _State.second:
        _State.stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _State.second = second
    return f"{_State.stamp}.{int((now - second) * 1000):03d}Z"


def _redacted(name: str, value: object) -> object:
    if _SECRET_NAME.search(name):
        return "***"
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", one) for one in value]
    if isinstance(value, dict):
        return {str(key): _redacted(str(key), one) for key, one in value.items()}
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    if "://" in text:
        text = _QUERY_VALUE.sub(r"\1***", _CREDENTIALS.sub("://***@", text))
    return text[:FIELD_CHARACTERS]


def _write(line: dict[str, object]) -> None:
    rendered = _render(line)
    for limit in SHORTER:
        if len(rendered) > LINE_BYTES:
            rendered = _render({name: _shortened(value, limit) for name, value in line.items()})
    _put(rendered)


def _put(line: str) -> None:
    with suppress(OSError):  # a closed or full standard error must not stop the server
        os.write(2, line.encode("ascii"))


def _shortened(value: object, limit: int) -> object:
    if isinstance(value, bool | int | float):
        return value
    return (value if isinstance(value, str) else str(value))[:limit]


def _render(line: dict[str, object]) -> str:
    if not _State.text:
        return _encode(line).replace("\x7f", "\\u007f") + "\n"
    rest = " ".join(
        f"{name}={_quoted(value)}"
        for name, value in line.items()
        if name not in {"time", "level", "event"}
    )
    head = f"{line['time']} {line['level']} {_quoted(line['event'])}"
    return f"{head} {rest}\n" if rest else head + "\n"


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else _encode(value)
    return text if _PLAIN.fullmatch(text) else _encode(text).replace("\x7f", "\\u007f")
