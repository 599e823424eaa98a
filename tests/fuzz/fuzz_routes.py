"""Raw paths: matched from the right, each part read strictly, nothing but the API's errors."""

from urllib.parse import quote, unquote

from kho.oci.errors import RegistryError
from kho.server.web.converters import convert
from kho.server.web.routes import TABLE, match
from tests.fuzz import texts


def check(data: bytes) -> None:
    path = "/" + texts.path(data)
    found = match(path)
    if found is None:
        return
    template, parts = found
    assert template in TABLE
    filled = template
    for key, value in parts.items():
        filled = filled.replace("{" + key + "}", value)
    if "{" not in path:
        # Pages are also where no name of another thing can be in their way.
        page = path.removeprefix("/-/r") if template.startswith("/{") else path
        assert filled.rstrip("/") == page.rstrip("/"), (path, template)
    try:
        values = convert(parts)
    except RegistryError as error:
        assert error.status in {400, 404}
        assert error.body().isascii()
        return
    if "name" in parts:
        # Taken as it stands: no part of an accepted path needs or survives another decoding.
        assert unquote(quote(path)) == path
        assert "%" not in path
        assert ".." not in values.name
        assert not values.name.startswith("/")
