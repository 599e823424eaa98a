"""`kho history REF`."""

from typing import TYPE_CHECKING, Any

import click

from kho.cli import shown
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire
    from kho.client.images.image import Image

_WIDTH = 45


@click.command("history")
@click.argument("reference")
@click.option("--platform", metavar="OS/ARCH", help="Of an index this image  [this machine's].")
@click.option("--no-trunc", is_flag=True, help="Print commands whole.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@wired
async def command(
    wire: "Wire", reference: str, platform: str | None, *, no_trunc: bool, as_json: bool
) -> None:
    """Show the history of an image: the steps that made it, the last first, with their layers."""
    from kho.cli.ages import age  # noqa: PLC0415
    from kho.cli.reading import image_of  # noqa: PLC0415
    from kho.client.places import open_read  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415

    wanted = None if platform is None else Platform.parse(platform)
    async with await open_read(reference, wire.registry, wanted) as place:
        steps = _steps(await image_of(place, wanted))
    if as_json:
        shown.as_json(steps)
        return
    rows = [("CREATED", "CREATED BY", "SIZE", "COMMENT")]
    for step in steps:
        what = " ".join(step["createdBy"].split())
        if not no_trunc and len(what) > _WIDTH:
            what = f"{what[: _WIDTH - 1]}…"
        when = step["created"] if no_trunc else age(step["created"])
        rows.append((when, what, shown.size(step["size"]), step["comment"]))
    shown.table(rows)


def _steps(image: "Image") -> list[dict[str, Any]]:
    """Each step with the layer that it made; layers that no step tells of come first."""
    steps: list[dict[str, Any]] = []
    layers = list(image.layers)
    real = sum(not one.get("empty_layer") for one in image.config.history)
    untold = layers[: max(len(layers) - real, 0)]
    made = iter(layers[len(untold) :])
    history: list[dict[str, Any]] = [{} for _ in untold]
    sources = iter([*untold, *made])
    for entry in (*history, *image.config.history):
        layer = None if entry.get("empty_layer") else next(sources, None)
        steps.append(
            {
                "created": _text(entry, "created"),
                "createdBy": _text(entry, "created_by"),
                "comment": _text(entry, "comment"),
                "author": _text(entry, "author"),
                "emptyLayer": layer is None,
                "digest": None if layer is None else str(layer.digest),
                "size": 0 if layer is None else layer.size,
            }
        )
    return steps[::-1]


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""
