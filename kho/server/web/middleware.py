"""Around every request: its id, its line in the log, its place in the metrics (pure ASGI)."""

import time
from collections.abc import Awaitable
from typing import Final

from kho.server import metrics, telemetry
from kho.server.policy.access import Caller
from kho.server.web.inflow import Inflow
from kho.server.web.request import Message, Scope, Send

API_VERSION: Final = (b"docker-distribution-api-version", b"registry/2.0")


class Observation:
    """What is learnt about one request while it runs."""

    __slots__ = (
        "caller",
        "inflow",
        "request_id",
        "route",
        "scope",
        "sent",
        "started",
        "status",
    )

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.route = "other"
        self.caller: Caller | None = None
        self.status = 0
        self.inflow: Inflow | None = None
        self.sent = 0
        self.started = time.perf_counter()
        offered = next((value for key, value in scope["headers"] if key == b"x-request-id"), None)
        self.request_id = telemetry.request_id(offered)
        metrics.request_started()

    def wrap_send(self, send: Send) -> Send:
        """Count what goes out; add the headers that every answer has."""
        identity = (b"x-request-id", self.request_id.encode("ascii"))

        def observed(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                message["headers"] = [*message["headers"], API_VERSION, identity]
            else:
                self.sent += len(message.get("body", b""))
            return send(message)

        return observed

    def finish(self) -> None:
        """Write the line and move the counters."""
        seconds = time.perf_counter() - self.started
        received = 0
        if self.inflow is not None:
            received = self.inflow.received
            self.inflow.close()
        method = self.scope["method"]
        metrics.request_ended()
        metrics.observe_request(self.route, method, self.status, seconds, received, self.sent)
        telemetry.log_access(
            scope=self.scope,
            route=self.route,
            status=self.status,
            seconds=seconds,
            received=received,
            sent=self.sent,
            request_id=self.request_id,
            remote="" if self.caller is None else self.caller.address,
            actor=None if self.caller is None or self.caller.anonymous else self.caller.name,
        )
