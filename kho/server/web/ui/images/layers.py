"""The layers of an image as a page shows them: a bar to scale, one row for each step, and waste."""

from typing import Final, NamedTuple

from kho.oci.digest import Digest
from kho.server.index.files import stack, waste
from kho.server.index.files.stack import Stack
from kho.server.index.files.waste import Efficiency
from kho.server.registry.contents.image import Detail, Image
from kho.server.registry.contents.steps import Step
from kho.server.resources import Resources
from kho.server.web.request import Request

# Of one page, whatever an image has: bytes of all commands, and steps.
_COMMANDS: Final = 18_000
_SHORTEST: Final = 100
STEPS: Final = 150
# A bar with more parts is not labelled with commands, and at last they are one part together.
_LABELLED: Final = 40
_APART: Final = 100
_LABEL: Final = 60
# Names that are gone through at once to find the waste; for more the browser asks.
_FEW: Final = 2000


class Row(NamedTuple):
    """A step; `layer` is the number of its layer, 0 where it made none.

    `command` is without `instruction`; `cut` says how many characters more it has. `files` is
    None until the layer is listed.
    """

    number: int
    step: Step
    command: str
    cut: int
    layer: int
    files: int | None


async def values(resources: Resources, request: Request, found: Image) -> dict[str, object]:
    """What the template of the layers needs beside the frame."""
    detail = found.detail
    if detail is None or detail.nature != "image":
        return {"rows": [], "parts": [], "following": 0, "beginning": 0, "waste": None}
    layers = await _stack(resources, request, detail)
    beginning = min(_number(request, "from"), max(0, len(detail.steps) - 1))
    following = beginning + STEPS
    return {
        "rows": _rows(detail, layers, beginning, _number(request, "step")),
        "parts": _parts(detail),
        "beginning": beginning,
        "following": following if following < len(detail.steps) else 0,
        "waste": await _waste(resources, layers, asked=request.query("view") == "waste"),
        "view_waste": request.query("view") == "waste",
        "unlisted": len(layers.unlisted),
        "files": sum(one.files for one in layers.layers),
        "unpacked": sum(one.total_size for one in layers.layers),
    }


async def _stack(resources: Resources, request: Request, detail: Detail) -> Stack:
    digests = [Digest.parse(step.layer.digest) for step in detail.steps if step.layer]
    return await stack.stack_of(resources, request.values.name, digests, sparse=True)


async def _waste(resources: Resources, layers: Stack, *, asked: bool) -> Efficiency | None:
    """None where it is not known, or would take long; the page says how to ask for it."""
    if layers.unlisted or not layers.layers:
        return None
    if asked or sum(one.files for one in layers.layers) <= _FEW:
        return await waste.efficiency(resources, layers)
    return waste.known(resources, layers)


def _number(request: Request, key: str) -> int:
    text = request.query(key) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0  # noqa: PLR2004


def _rows(detail: Detail, layers: Stack, beginning: int, whole: int) -> list[Row]:
    found, layer = [], 0
    most = max(_SHORTEST, _COMMANDS // max(1, min(len(detail.steps), STEPS)))
    for number, step in enumerate(detail.steps, 1):
        layer += step.layer is not None
        if not beginning < number <= beginning + STEPS:
            continue
        command = step.command[len(step.instruction) :]
        cut = 0 if number == whole else max(0, len(command) - most)
        files = None
        if step.layer is not None and layers.layers[layer - 1].id is not None:
            files = layers.layers[layer - 1].files
        shown = command[:most] if cut else command
        found.append(Row(number, step, shown, cut, layer if step.layer else 0, files))
    return found


def _parts(detail: Detail) -> list[tuple[str, int, str]]:
    """Label, size and fragment of each layer, for the bar."""
    made = [step for step in detail.steps if step.layer is not None]
    few = len(made) <= _LABELLED
    found = []
    for number, step in enumerate(made[:_APART], 1):
        assert step.layer is not None
        label = f"{number}"
        if few and step.command:
            more = "…" if len(step.command) > _LABEL else ""
            label = f"{number} {step.command[:_LABEL]}{more}"
        found.append((label, step.layer.size, f"#layer-{number}"))
    rest = [step.layer.size for step in made[_APART:] if step.layer is not None]
    if rest:
        found.append((f"{_APART + 1} – {len(made)}", sum(rest), ""))
    return found
