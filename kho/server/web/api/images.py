"""What a tag or digest names, told in full; and how two of them differ."""

from typing import Annotated, Any, Final

from msgspec import Meta

from kho.oci.digest import Digest
from kho.oci.reference import parse_reference
from kho.server.policy.access import Action
from kho.server.registry.contents import attached, comparison, image
from kho.server.resources import Resources
from kho.server.web.api.mirror import by_hand, mirror, told
from kho.server.web.api.operation import Call, Given, Operation, Told
from kho.server.web.api.values import Time


class Attachment(Told, frozen=True):
    """A manifest that says it belongs to another; `size` in bytes, of the manifest alone.

    `tag` is the name by which it belongs, where that is no subject. `annotations` are left out
    (null) when they are very long.
    """

    digest: str
    media_type: str
    artifact_type: str | None
    size: int
    pushed_at: Time
    tag: str
    annotations: dict[str, str] | None
    referrers: list["Attachment"]


by_hand(attached.Node, Attachment)
Image: Final = mirror(image.Image)
Comparison: Final = mirror(comparison.Comparison)

Platform = Annotated[
    str, Meta(max_length=255, description="os/architecture[/variant]; usual is linux/amd64")
]
Reference = Annotated[str, Meta(min_length=1, max_length=160, description="a tag or a digest")]


class WhichPlatform(Given, frozen=True):
    """Of an index: which platform. `reveal` shows values that look secret, too."""

    platform: Platform = ""
    reveal: bool = False


class WhichTwo(Given, frozen=True):
    """Which two; of indexes the manifests of one platform."""

    a: Reference
    b: Reference
    platform: Platform = ""
    reveal: bool = False


async def show_image(resources: Resources, call: Call[WhichPlatform, None]) -> Any:  # noqa: ANN401
    """Manifest, config, history with layers, platforms, who shares layers, what is attached."""
    found = await image.find(
        resources,
        call.caller.principal,
        call.name,
        call.request.values.reference,
        platform=call.query.platform or None,
        reveal=call.query.reveal,
    )
    return told(found, Image)


async def compare(resources: Resources, call: Call[WhichTwo, None]) -> Any:  # noqa: ANN401
    """Config, layers, sizes, platforms. For files see `GET .../file-differences`."""
    query = call.query
    a, b = two(query.a, query.b)
    found = await comparison.compare(
        resources,
        call.name,
        a,
        b,
        platform=query.platform or None,
        reveal=query.reveal,
    )
    return told(found, Comparison)


def two(a: str, b: str) -> tuple[Digest | str, Digest | str]:
    """Both as they are looked for. Raises TagInvalid, DigestInvalid."""
    return parse_reference(a), parse_reference(b)


OPERATIONS: Final = (
    Operation(
        id="showImage",
        noun="images",
        method="GET",
        path="/repositories/{name}/-/images/{reference}",
        action=Action.PULL,
        summary="Show an image, index or artifact",
        function=show_image,
        query=WhichPlatform,
        answer=Image,
    ),
    Operation(
        id="compareImages",
        noun="images",
        method="GET",
        path="/repositories/{name}/-/comparison",
        action=Action.PULL,
        summary="Compare two images of a repository",
        function=compare,
        query=WhichTwo,
        answer=Comparison,
    ),
)
