"""JSON as it is written here: the same bytes from the same value."""

import json
from typing import Any


def written(value: dict[str, Any]) -> bytes:
    """Without blanks, keys as they stand."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
