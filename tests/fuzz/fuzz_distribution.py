"""config.yml and the variables of registry:2: settings, mistakes or warnings, never a crash."""

import tempfile
from pathlib import Path

from kho.server.distribution import translate
from kho.server.distribution_yaml import MOST_DEPTH, NotYaml, Scalar, Tree, parse
from tests.fuzz import texts

FILE = Path(tempfile.mkdtemp(prefix="kho-fuzz-"), "config.yml")


def check(data: bytes) -> None:
    text, name, value, *_ = *data.split(b"\0", 2), b"", b""
    try:
        check_tree(parse(texts.unicode(text), "test"), 0)
    except NotYaml as error:
        assert "\n" not in str(error)
    FILE.write_bytes(text)
    variable = "REGISTRY_" + texts.unicode(name).replace("=", "_").replace("\0", "_").upper()
    found = translate(str(FILE), {variable: texts.unicode(value).replace("\0", "")})
    for mistake in found.mistakes:
        assert mistake.text
        assert mistake.source
    for given in found.given:
        assert given.key


def check_tree(tree: Tree, depth: int) -> None:
    assert depth <= MOST_DEPTH + 1
    if isinstance(tree, Scalar):
        assert isinstance(tree.text, str)
        return
    for inner in tree.values() if isinstance(tree, dict) else tree:
        check_tree(inner, depth + 1)
