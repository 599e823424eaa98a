"""What a browser calls itself, in words: `Firefox 140, Linux`."""

import re
from typing import Final

# Later ones call themselves what earlier ones are called, so the order counts.
_BROWSERS: Final = (
    ("Edge", re.compile(r"Edg(?:e|A|iOS)?/(\d+)")),
    ("Opera", re.compile(r"OPR/(\d+)")),
    ("Samsung Internet", re.compile(r"SamsungBrowser/(\d+)")),
    ("Firefox", re.compile(r"(?:Firefox|FxiOS)/(\d+)")),
    ("Chrome", re.compile(r"(?:Chrome|HeadlessChrome|CriOS)/(\d+)")),
    ("Safari", re.compile(r"Version/(\d+)[\d.]* (?:Mobile/\S+ )?Safari/")),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def in_words(agent: str) -> str:
    """The browser and the system, where they are known; else what it says itself."""
    for name, expression in _BROWSERS:
        found = expression.search(agent)
        if found and agent.startswith("Mozilla/"):
            system = next((shown for word, shown in _SYSTEMS if word in agent), "")
            return f"{name} {found[1]}" + (f", {system}" if system else "")
    return agent
