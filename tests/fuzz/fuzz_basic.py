"""Basic credentials."""

import base64

from kho.oci.errors import Unauthorized
from kho.server.web.auth import parse_basic
from tests.fuzz import texts


def check(data: bytes) -> None:
    try:
        name, password = parse_basic(texts.header(data))
    except Unauthorized:
        pass
    else:
        assert ":" not in name
        text = base64.b64decode(data, validate=True)
        assert f"{name}:{password}".encode() == text
    pair = texts.unicode(data)
    name, colon, password = pair.partition(":")
    value = base64.b64encode(pair.encode()).decode()
    try:
        assert parse_basic(value) == (name, password)
        assert colon
    except Unauthorized:
        assert not colon
