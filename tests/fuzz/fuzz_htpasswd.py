"""Files of users."""

from kho.server.index.sources.htpasswd import COSTS, parse
from tests.fuzz import texts

HASH = "$2y$05$" + "a" * 53


def check(data: bytes) -> None:
    found = parse(data, "users")
    lines = [line.strip() for line in data.split(b"\n")]
    for name, hashed in found.hashes.items():
        assert f"{name}:{hashed}".encode() in lines
        assert name
        assert ":" not in name
        assert name.isprintable()
        assert int(hashed[4:6]) in COSTS
    assert (found.cost is None) == (not found.hashes)
    name = texts.unicode(data)
    good = name and name.isprintable() and ":" not in name and name == name.strip()
    if good and not name.startswith("#"):
        # Of two lines for one user the last one counts.
        text = f"{name}:{HASH}x\n{name}:{HASH[:-1]}b\r\n\n#\n{name}:{HASH}"
        assert parse(text.encode(), "users").hashes == {name: HASH}
