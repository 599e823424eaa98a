"""The frame of the pages where people sign in: HTML without scripts, and every value escaped."""

import base64
import hashlib
import html
import re
from typing import Final, LiteralString

from kho.server.web.request import Response


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def fill(template: LiteralString, **values: object) -> Html:
    """Put values into a template; what is not `Html` is escaped, in attributes too."""
    shown = {
        key: value if isinstance(value, Html) else html.escape(str(value))
        for key, value in values.items()
    }
    return Html(template.format(**shown))


_CSS: Final = """
:root{color-scheme:light dark;--ink:#1a1d23;--soft:#5b6472;--line:#c9ced6;--edge:#7b8492;
--page:#f3f4f6;--card:#fff;--main:#0b5fb0;--on-main:#fff;--bad:#a3191f;--bad-page:#fdecec}
@media(prefers-color-scheme:dark){:root{--ink:#eceef2;--soft:#a4adbb;--line:#454d5a;--edge:#8590a1;
--page:#14161a;--card:#1f2329;--main:#5aa9f5;--on-main:#0b1520;--bad:#ff9d9d;--bad-page:#3a1d20}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:flex;flex-direction:column;align-items:center;
justify-content:center;padding:1.5rem 1rem;background:var(--page);color:var(--ink);
font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{width:100%;max-width:26rem;background:var(--card);border:1px solid var(--line);
border-radius:.75rem;padding:2rem;overflow-wrap:anywhere}
@media(max-width:30rem){body{justify-content:flex-start}main{padding:1.25rem}}
.brand{margin:0 0 1rem;color:var(--soft);font-size:.875rem}
.brand b{color:var(--ink);font-weight:650}
h1{margin:0 0 1rem;font-size:1.375rem;line-height:1.25}
p{margin:0 0 1rem}
label{display:block;margin:0 0 .25rem;font-weight:600;font-size:.9375rem}
input{width:100%;margin:0 0 1rem;padding:.625rem .75rem;font:inherit;color:inherit;
background:transparent;border:1px solid var(--edge);border-radius:.5rem}
button,.button{display:block;width:100%;padding:.625rem 1rem;font:inherit;font-weight:600;
text-align:center;text-decoration:none;color:var(--on-main);background:var(--main);
border:1px solid var(--main);border-radius:.5rem;cursor:pointer}
.plain{color:var(--main);background:transparent}
input:focus-visible,button:focus-visible,.button:focus-visible,a:focus-visible{
outline:3px solid var(--main);outline-offset:2px}
.row{display:flex;gap:.75rem}
.or{display:flex;align-items:center;gap:.75rem;margin:1.25rem 0;color:var(--soft)}
.or::before,.or::after{content:"";flex:1;border-top:1px solid var(--line)}
.bad{padding:.75rem 1rem;color:var(--bad);background:var(--bad-page);border-radius:.5rem}
.hint{color:var(--soft);font-size:.875rem}
input+.hint{margin-top:-.75rem}
.code{margin:0 0 1rem;padding:.75rem;text-align:center;border:1px dashed var(--line);
border-radius:.5rem;font:600 1.5rem/1.2 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;
letter-spacing:.1em}
.entry{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;text-transform:uppercase;
letter-spacing:.1em}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:0 0 1.25rem}
dt{color:var(--soft)}dd{margin:0}
a{color:var(--main)}
main>:last-child{margin-bottom:0}
"""
_STYLE: Final = Html(re.sub(r"\n+", "", _CSS))
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_FRAME: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title} · Kho</title>
<style>{style}</style>
</head>
<body>
<main>
<p class="brand"><b>Kho</b> registry at {host}</p>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""

_OURS_ALONE: Final = "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
# No referrer for strangers; for ourselves, because browsers that send none say `Origin: null`.
_SAFE: Final = (
    ("content-type", "text/html; charset=utf-8"),
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; {_OURS_ALONE}",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("referrer-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
)


def page(status: int, title: str, body: Html, host: str, *more: tuple[str, str]) -> Response:
    """A whole page; `host` is what the person calls this registry, `more` are further headers."""
    text = fill(_FRAME, title=title, body=body, host=host, style=_STYLE).encode()
    headers = [*_SAFE, ("content-length", str(len(text))), *more]
    return Response(
        status,
        [(key.lower().encode("ascii"), value.encode("ascii")) for key, value in headers],
        text,
    )


def joined(*parts: Html) -> Html:
    """One after the other."""
    return Html("\n".join(part for part in parts if part))


def problem(text: str) -> Html:
    """What went wrong, as readers of the page and of the screen notice it."""
    return fill('<p class="bad" role="alert">{text}</p>', text=text) if text else Html()


def redirect(location: str, *more: tuple[str, str]) -> Response:
    """303: go there with GET."""
    headers = [("location", location), ("content-length", "0"), ("cache-control", "no-store")]
    headers += [("referrer-policy", "same-origin"), *more]
    return Response(
        303, [(key.lower().encode("ascii"), value.encode("ascii")) for key, value in headers]
    )
