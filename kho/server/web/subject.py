"""The user name in the subject of a client certificate, as proxies write it.

    CN=alice,OU=ops,O=Example      RFC 2253 and 4514: nginx ($ssl_client_s_dn), Caddy, Envoy
    /O=Example/OU=ops/CN=alice     OpenSSL's old form: HAProxy (ssl_c_s_dn), nginx's _legacy

One common name must be there, and be a user name; the old form cannot escape its slash, so a
second one makes the subject unclear.
"""

import re
from typing import Final

from kho.server.policy.names import is_name

LONGEST: Final = 4096
_ATTRIBUTE: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)\s*=\s*")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"\s*')
_BARE: Final = re.compile(r'(?:[^,;+"\\<>]|\\.)*')
_ESCAPE: Final = re.compile(r"\\([0-9A-Fa-f]{2}|.)")
_OF_NAMES: Final = frozenset({"CN", "2.5.4.3"})


def common_name(subject: str) -> str | None:
    """The user that the subject names; None when it names none, several, or no possible user."""
    if len(subject) > LONGEST or not subject.isprintable():
        return None
    names = _old_form(subject) if subject.startswith("/") else _new_form(subject)
    if len(names) != 1 or not is_name(names[0]):
        return None
    return names[0]


def _old_form(subject: str) -> list[str]:
    pairs = (part.partition("=") for part in subject[1:].split("/"))
    return [value for key, _, value in pairs if key.strip().upper() in _OF_NAMES]


def _new_form(subject: str) -> list[str]:
    """The common names of an RFC 2253 string; none when it is not one."""
    names: list[str] = []
    place = 0
    while True:
        attribute = _ATTRIBUTE.match(subject, place)
        if attribute is None:
            return []
        value = _QUOTED.match(subject, attribute.end()) or _BARE.match(subject, attribute.end())
        assert value is not None
        if attribute[1].upper() in _OF_NAMES:
            text = value[1] if value.re is _QUOTED else value[0].strip(" ")
            names.append(_ESCAPE.sub(_unescaped, text))
        place = value.end()
        if place == len(subject):
            return names
        if subject[place] not in ",;+":
            return []
        place += 1


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    return chr(int(code, 16)) if len(code) > 1 else code
