"""Addresses, names and subjects as proxies tell them, believed from trusted ones only."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kho.server.config import Config, load
from kho.server.web.address import base_url, client_address, proxy_subject
from kho.server.web.subject import common_name

PROXY = "10.0.0.5"
TRUSTED = "10.0.0.0/8,2001:db8:ffff::/48,127.0.0.1"
Headers = Sequence[tuple[str, str]]


def config(**settings: object) -> Config:
    return load({key.replace("__", "."): value for key, value in settings.items()}, {})


def scope(peer: str, headers: Headers = ()) -> dict[str, object]:
    lines = [(key.lower().encode(), value.encode("latin-1")) for key, value in headers]
    return {"client": (peer, "1234"), "headers": lines}


def address(peer: str, *hops: str, trusted: str = TRUSTED) -> str:
    headers = [("X-Forwarded-For", hop) for hop in hops]
    return client_address(scope(peer, headers), config(http__trusted_proxies=trusted))


@pytest.mark.parametrize(
    "peer, hops, expected",
    [
        ("192.0.2.1", (), "192.0.2.1"),
        ("192.0.2.1", ("1.2.3.4",), "192.0.2.1"),
        (PROXY, (), PROXY),
        (PROXY, ("1.2.3.4",), "1.2.3.4"),
        (PROXY, ("9.9.9.9, 1.2.3.4",), "1.2.3.4"),
        (PROXY, ("9.9.9.9", "1.2.3.4, 10.1.1.1"), "1.2.3.4"),
        (PROXY, ("10.2.2.2, 10.1.1.1",), "10.2.2.2"),
        (PROXY, ("1.2.3.4:5678",), "1.2.3.4"),
        (PROXY, ("2001:db8::1",), "2001:db8::1"),
        (PROXY, ("[2001:db8::1]",), "2001:db8::1"),
        (PROXY, ("[2001:DB8::1]:443",), "2001:db8::1"),
        (PROXY, ("::ffff:1.2.3.4",), "1.2.3.4"),
        ("::ffff:10.0.0.5", ("1.2.3.4",), "1.2.3.4"),
        ("::ffff:192.0.2.1", ("1.2.3.4",), "192.0.2.1"),
        ("2001:db8:ffff::1", ("1.2.3.4, 2001:db8:ffff::2",), "1.2.3.4"),
        (PROXY, ("1.2.3.4, unknown",), PROXY),
        (PROXY, ("1.2.3.4, unknown, 10.1.1.1",), "10.1.1.1"),
        (PROXY, ("",), PROXY),
        (PROXY, (",,",), PROXY),
        (PROXY, ("1.2.3.4, <script>",), PROXY),
        (PROXY, ("1.2.3.4, fe80::1%eth0",), PROXY),
        (PROXY, ("1.2.3.4, 010.1.1.1",), PROXY),
    ],
)
def test_client_address(peer: str, hops: tuple[str, ...], expected: str) -> None:
    assert address(peer, *hops) == expected


def test_no_proxy_is_trusted_by_default() -> None:
    headers = [("X-Forwarded-For", "1.2.3.4"), ("Forwarded", "for=1.2.3.4")]
    for peer in ("127.0.0.1", "::1", PROXY):
        assert client_address(scope(peer, headers), config()) == peer
    assert client_address({"client": None, "headers": []}, config()) == ""


def test_forwarded_is_never_believed() -> None:
    headers = [("Forwarded", "for=1.2.3.4;proto=https;host=evil")]
    settings = config(http__trusted_proxies=TRUSTED)
    assert client_address(scope(PROXY, headers), settings) == PROXY
    assert "evil" not in base_url(scope(PROXY, headers), settings)


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=200))
def test_any_header_gives_an_address_or_the_peer(text: str) -> None:
    found = address(PROXY, text)
    assert found == PROXY or set(found) <= set("0123456789abcdef.:")


def test_long_headers_are_little_work() -> None:
    started = time.thread_time()
    assert address(PROXY, "10.1.1.1," * 50_000 + "10.9.9.9") == "10.1.1.1"
    assert time.thread_time() - started < 0.1


def url(headers: Headers, peer: str = "192.0.2.1", **settings: object) -> str:
    return base_url(scope(peer, headers), config(listen="127.0.0.1:5001", **settings))


@pytest.mark.parametrize(
    "host", ["kho.example", "kho.example:8443", "[2001:db8::1]:5000", "my_registry:5000", "1.2.3.4"]
)
def test_the_host_of_the_request(host: str) -> None:
    assert url([("Host", host)]) == f"http://{host}"
    secured = {"tls__cert": "/c", "tls__key": "/k"}
    assert url([("Host", host)], **secured) == f"https://{host}"


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a/",
        "a?",
        "a#",
        "a@b",
        "a b",
        "a\\b",
        'a"',
        "a,b",
        "a:b",
        "[::1",
        "[::::]",
        "[abc]",
        "[1.2.3.4.5]",
        "a:",
        "-",
        "é",
        "a:123456",
    ],
)
def test_a_host_that_is_none(host: str) -> None:
    assert url([("Host", host)]) == "http://127.0.0.1:5001"


def test_two_hosts_are_none() -> None:
    assert url([("Host", "a"), ("Host", "b")]) == "http://127.0.0.1:5001"
    assert url([]) == "http://127.0.0.1:5001"


FORWARDED = [("Host", "inner"), ("X-Forwarded-Host", "kho.example"), ("X-Forwarded-Proto", "https")]


def test_a_trusted_proxy_tells_scheme_and_host() -> None:
    assert url(FORWARDED) == "http://inner"
    assert url(FORWARDED, PROXY) == "http://inner"
    assert url(FORWARDED, PROXY, http__trusted_proxies=TRUSTED) == "https://kho.example"
    assert url(FORWARDED, http__trusted_proxies=TRUSTED) == "http://inner"


@pytest.mark.parametrize("proto", ["javascript", "https,http", "HTTPS", ""])
def test_a_scheme_that_is_none(proto: str) -> None:
    headers = [("Host", "inner"), ("X-Forwarded-Proto", proto), ("X-Forwarded-Host", "a/b")]
    assert url(headers, PROXY, http__trusted_proxies=TRUSTED) == "http://inner"


@pytest.mark.parametrize("given", ["https://kho.example", "https://kho.example/"])
def test_the_public_url_stands_above_all(given: str) -> None:
    settings = {"http__public_url": given, "http__trusted_proxies": TRUSTED}
    assert url(FORWARDED, PROXY, **settings) == "https://kho.example"


NAMES = {
    "CN=alice,OU=ops,O=Example": "alice",
    "O=Example, OU=ops, CN=alice": "alice",
    "O=Example+CN=alice": "alice",
    "emailAddress=a@b.c,CN=alice.b_c-d@example.com": "alice.b_c-d@example.com",
    "cn = alice ,O=x": "alice",
    "2.5.4.3=alice": "alice",
    'CN="alice",O="x, y"': "alice",
    r"CN=al\69ce,O=a\,CN=b": "alice",
    "CN=alice,1.2.3=#1303616263": "alice",
    "/C=VN/O=Example/CN=alice": "alice",
    "/CN=alice/emailAddress=a@b.c": "alice",
    "": None,
    "alice": None,
    "O=Example": None,
    "CN=": None,
    "CN=Alice": None,
    "CN=alice b": None,
    "CN=alice,CN=bob": None,
    "CN=alice+CN=alice": None,
    "/O=x/CN=admin/CN=alice": None,
    "CN=anonymous": None,
    "CN=operator": None,
    "CN=everyone": None,
    "CN=user:alice": None,
    "CN=#0c05616c696365": None,
    r"O=a\,CN=admin": None,
    'O="a,CN=admin"': None,
    'CN="alice': None,
    "CN=alice,": None,
    "CN=alice,,O=x": None,
    "CN=alice,garbage": None,
    "O=a=b,CN=alice": "alice",
    "CN=alice\n": None,
    "CN=al\x00ice": None,
    "CN=" + "a" * 129: None,
    "CN=alice," + ",".join(f"OU={n}" for n in range(2000)): None,
}


@pytest.mark.parametrize("subject", NAMES)
def test_the_name_in_a_subject(subject: str) -> None:
    assert common_name(subject) == NAMES[subject]


@given(st.text(alphabet='CN=a,\\"+;/0 #O', max_size=60))
def test_any_subject_gives_a_name_or_none(subject: str) -> None:
    found = common_name(subject)
    assert found is None or found.isalnum() or set(found) <= set("a0")


def test_the_subject_counts_from_a_trusted_proxy_alone() -> None:
    headers = [("X-Client-Subject", "CN=alice,O=Example")]
    settings = config(http__trusted_proxies=TRUSTED, http__subject_header="X-Client-Subject")
    assert proxy_subject(scope(PROXY, headers), settings) == "alice"
    assert proxy_subject(scope("192.0.2.1", headers), settings) is None
    assert proxy_subject(scope(PROXY, []), settings) is None
    assert proxy_subject(scope(PROXY, [*headers, *headers]), settings) is None
    for less in ({"http__trusted_proxies": TRUSTED}, {"http__subject_header": "X-Client-Subject"}):
        assert proxy_subject(scope(PROXY, headers), config(**less)) is None
