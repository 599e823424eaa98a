"""Routes, authorisation, errors and middleware: one ASGI application.

request ─► Observation ─► match ─► entry.admit ─► handler ─► send
                                        └── any refusal ─► failures.answer ─┘
"""

import asyncio
import contextlib
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Final

from kho.oci.errors import (
    BlobUploadInvalid,
    ManifestTooLarge,
    RegistryError,
    RequestTimeout,
    RouteUnknown,
    UnknownError,
    Unsupported,
)
from kho.server import telemetry
from kho.server.config import Config
from kho.server.index import audit, logins, traffic
from kho.server.index.errors import Refused
from kho.server.jobs import runner
from kho.server.registry import aside
from kho.server.registry.uploads import BodyCut
from kho.server.resources import Resources, open_resources
from kho.server.web import entry, errors, failures
from kho.server.web.middleware import Observation
from kho.server.web.places import methods_of, values_of
from kho.server.web.request import Answer, Receive, Request, Response, Scope, Send
from kho.server.web.route import Route
from kho.server.web.streaming import ClientGone, send_answer, send_response

# After a refusal this much of an unread body is taken, so that a client that writes before it
# reads still sees the answer.
DRAIN_BYTES: Final = 1024 * 1024
DRAIN_SECONDS: Final = 2.0
_HOPELESS: Final = (ManifestTooLarge, RequestTimeout)
# What logs and metrics say of a request whose client went away, as nginx does.
CLIENT_LEFT: Final = 499


class App:
    """The registry as an ASGI application; its lifespan opens and closes the resources."""

    def __init__(self, config: Config, resources: Resources | None = None) -> None:
        self.config = config
        self.resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch by the kind of scope."""
        if scope["type"] == "http":
            observation = Observation(scope)
            try:
                await self._serve(scope, receive, observation.wrap_send(send), observation)
            finally:
                observation.finish()
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, observation: Observation
    ) -> None:
        """Answer one request; an exception that leaves here cuts the connection."""
        request = Request(scope, receive, self.config)
        observation.inflow = request.inflow
        head = scope["method"] == "HEAD"
        try:
            answer = await self._handle(request, observation)
        except (RegistryError, Refused) as error:
            answer = await self._refuse(request, error)
        except BodyCut:
            # The client may have closed only its half: tell it. The log says that it left.
            cut = BlobUploadInvalid("the request's body ended before it was whole")
            await send_response(send, _closing(errors.render(cut)), head=head)
            observation.status = CLIENT_LEFT
            return
        except Exception as error:  # noqa: BLE001  the last resort: nothing of it is shown
            telemetry.log_failure("request failed", error, request_id=observation.request_id)
            failed = UnknownError("internal error", detail={"request": observation.request_id})
            answer = await self._refuse(request, errors.scarcity(error) or failed)
        try:
            await send_answer(request.inflow.next, send, answer, self.config, head=head)
        except ClientGone as error:
            telemetry.log_event("answer cut", reason=str(error), request_id=observation.request_id)
            raise
        except RegistryError as error:
            if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                telemetry.log_failure("blob unreadable", error, request_id=observation.request_id)
            if observation.status:  # some of it has gone out: cut it short
                raise
            await send_response(send, await self._refuse(request, error), head=head)

    async def _refuse(self, request: Request, error: RegistryError | Refused) -> Response:
        """Say what is wrong; take a bounded rest of the body, else close the connection.

        Nothing more is taken of a body that is too large, or of one that does not come.
        """
        response = await failures.answer(self.resources, request, error)
        unread = request.has_body and not request.body_done
        if unread and (isinstance(error, _HOPELESS) or not await _drained(request)):
            return _closing(response)
        return response

    async def _handle(self, request: Request, observation: Observation) -> Answer:
        methods = methods_of(request.path)
        if methods is None or (not self.config.index.enabled and _is_index(methods)):
            raise _unknown(request)
        route = methods.get(request.method)
        if route is None:
            raise _not_allowed(methods)
        observation.route = route.name
        request.audience = route.audience
        request.values = values_of(request.path)
        assert self.resources is not None
        try:
            await entry.admit(self.resources, request, route, observation.request_id)
        finally:
            observation.caller = request.caller
        return await route.handler(self.resources, request)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        async with AsyncExitStack() as stack:
            while True:
                message = await receive()
                if message["type"] == "lifespan.startup":
                    try:
                        self.resources = await stack.enter_async_context(
                            open_resources(self.config)
                        )
                        logins.begin(self.resources)
                        aside.begin(self.resources)
                        await stack.enter_async_context(audit.noting(self.resources))
                        await stack.enter_async_context(traffic.counting(self.resources))
                        await stack.enter_async_context(runner.run_jobs(self.resources))
                    except Exception as error:  # noqa: BLE001  told to the server, which stops
                        telemetry.log_failure("cannot start", error)
                        await send({"type": "lifespan.startup.failed", "message": str(error)})
                        return
                    await send({"type": "lifespan.startup.complete"})
                else:
                    break
        await send({"type": "lifespan.shutdown.complete"})


def _is_index(methods: dict[str, Route]) -> bool:
    return any(route.index for route in methods.values())


def _unknown(request: Request) -> RouteUnknown:
    return RouteUnknown("no such path in this registry", detail={"path": request.path[:256]})


def _not_allowed(methods: dict[str, Route]) -> Unsupported:
    allow = ", ".join(sorted(methods))
    return Unsupported(
        "method not allowed here; allowed: %(allow)s", allow=allow, headers=(("Allow", allow),)
    )


def _closing(response: Response) -> Response:
    """Tell client and server that the connection ends here."""
    response.headers.append((b"connection", b"close"))
    return response


async def _drained(request: Request) -> bool:
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while size < DRAIN_BYTES:
                message = await request.inflow.next()
                size += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return True
    return False


def create_app(config: Config) -> App:
    """What a worker serves."""
    return App(config)
