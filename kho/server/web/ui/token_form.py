"""The form that makes an access token, one's own or somebody's."""

from typing import Final, NamedTuple

from kho.server.index.errors import Invalid
from kho.server.index.tokens import access_tokens
from kho.server.index.tokens.access_tokens import DAY
from kho.server.resources import Resources
from kho.server.web.ui.forms import Posted, Problem, refusal

# How long a token may be good: the word of the form and its seconds; None never ends.
LIFETIMES: Final[dict[str, float | None]] = {
    "usual": 0.0,
    "1h": DAY / 24,
    "12h": DAY / 2,
    "1d": DAY,
    "7d": 7 * DAY,
    "30d": 30 * DAY,
    "90d": 90 * DAY,
    "180d": 180 * DAY,
    "365d": 365 * DAY,
    "never": None,
}
ACTIONS: Final = ("pull", "push", "delete", "settings")


class NewToken(NamedTuple):
    """A token that was just made; `secret` is shown this once."""

    secret: str
    name: str
    owner: str


def scopes(form: Posted) -> list[str]:
    """The ceiling, as lines that `parse_ceiling` reads. Raises Invalid."""
    pattern = form.text("pattern")
    actions = [one for one in ACTIONS if form.has(f"may_{one}")]
    lines = list(form.fields.get("scopes", "").split())
    if not pattern and not actions:
        return lines
    if not actions:
        raise Invalid("choose what the token may do with these repositories")
    return [f"{pattern or '**'}:{','.join(actions)}", *lines]


async def make(
    resources: Resources, form: Posted, owner: str, by: str
) -> tuple[NewToken | None, Problem | None]:
    """The token, or why there is none."""
    made: list[NewToken] = []

    async def work() -> None:
        lifetime = form.fields.get("expires", "usual")
        if lifetime not in LIFETIMES:
            raise Invalid("choose how long the token is good")
        new = await access_tokens.create(
            *(resources, owner, form.text("name")),
            ceiling=access_tokens.parse_ceiling(scopes(form)),
            seconds=LIFETIMES[lifetime],
            by=by,
        )
        made.append(NewToken(new.secret, form.text("name"), owner))

    problem = await refusal(work(), "token")
    return (made[0] if made else None), problem
