"""Live, ready, metrics."""

from kho.oci.errors import RouteUnknown
from kho.server import metrics as figures
from kho.server.resources import Resources
from kho.server.web.request import Request, Response
from kho.server.web.v2.answers import json_answer


async def live(resources: Resources, request: Request) -> Response:  # noqa: ARG001
    """The process answers."""
    return json_answer(200, {"status": "ok"})


async def ready(resources: Resources, request: Request) -> Response:  # noqa: ARG001
    """Database and storage take reads and writes; raises what is wrong with them."""
    await resources.database.ping()
    await resources.storage.ping()
    return json_answer(200, {"status": "ready"})


async def metrics(resources: Resources, request: Request) -> Response:  # noqa: ARG001
    """Prometheus text of all workers together."""
    if not resources.config.metrics.enabled:
        raise RouteUnknown("metrics are switched off: metrics.enabled = false")
    body = figures.render_metrics()
    headers = [
        (b"content-type", figures.CONTENT_TYPE.encode("ascii")),
        (b"content-length", b"%d" % len(body)),
    ]
    return Response(200, headers, body)
