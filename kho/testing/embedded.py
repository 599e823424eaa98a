"""Granian on an event loop of this process, on a listener that is open already."""

import os
import socket
from collections.abc import Callable
from typing import Any, Final, cast

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

_BACKLOG: Final = 1024
# Descriptor, whether it is a Unix socket, backlog: the stub of the type leaves them out.
_holder: Final = cast("Callable[[int, bool, int], SocketHolder]", SocketHolder)


class Embedded(Server):
    """`await serve()` on the loop that is to run the application, until `stop()`."""

    def __init__(self, app: Any, listener: socket.socket) -> None:  # noqa: ANN401
        host, port = listener.getsockname()[:2]
        super().__init__(
            app,
            address=host,
            port=port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            backlog=_BACKLOG,
            log_enabled=False,
        )
        self._listener = listener

    def _init_shared_socket(self) -> None:
        # Granian never closes the descriptor that it is given.
        self._descriptor = os.dup(self._listener.fileno())
        holder: Any = _holder(self._descriptor, False, _BACKLOG)
        self._shd = holder
