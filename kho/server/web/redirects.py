"""The answer that sends a browser elsewhere on this site."""

from kho.server.web.request import Response


def redirect(location: str, *more: tuple[str, str]) -> Response:
    """303: go there with GET."""
    headers = [("location", location), ("content-length", "0"), ("cache-control", "no-store")]
    headers += [("referrer-policy", "same-origin"), *more]
    return Response(
        303, [(key.lower().encode("ascii"), value.encode("ascii")) for key, value in headers]
    )
