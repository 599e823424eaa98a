"""The steps to the first image, for programs that can push."""

from typing import Final, NamedTuple

from kho.server.index.catalogue.commands import Address
from kho.server.policy.access import Action, Principal, allowed
from kho.server.web.ui.preferences import RUNTIMES

# What pulls alone, or is no program: docker stands in for it.
PUSHING: Final = tuple(one for one in RUNTIMES if one not in ("crictl", "kubernetes"))
_IMAGE: Final = "alpine:latest"
_SOURCE: Final = "docker.io/library/alpine:latest"
# For a registry without TLS; docker is told by a file of its own, unless it is this machine's.
_CONSENT: Final = {
    "docker": "",
    "podman": " --tls-verify=false",
    "nerdctl": " --insecure-registry",
    "skopeo": " --tls-verify=false",
    "kho": " --plain-http",
}


class Step(NamedTuple):
    """`what` is get, sign-in, name, push, copy or look: the page has words for it."""

    what: str
    command: str


def steps(runtime: str, address: Address, target: str, *, sign_in: bool) -> tuple[Step, ...]:
    """What to type, in order; `target` is the image's name here."""
    tool = runtime if runtime in PUSHING else PUSHING[0]
    to = f"{address.host}/{target}"
    option = "" if address.tls else _CONSENT[tool]
    if tool == "skopeo":
        source = option.replace("--tls", "--dest-tls")
        last = Step("copy", f"skopeo copy{source} docker://{_SOURCE} docker://{to}")
        look = Step("look", f"skopeo inspect{option} docker://{to}")
        first = (Step("sign-in", f"skopeo login{option} {address.host}"),) if sign_in else ()
        return (*first, last, look)
    image = _SOURCE if tool in ("podman", "kho") else _IMAGE
    login = (Step("sign-in", f"{tool} login{option} {address.host}"),) if sign_in else ()
    got = Step("get", f"{tool} pull {image}")
    named, pushed = f"{tool} tag {image} {to}", f"{tool} push{option} {to}"
    return (*login, got, Step("name", named), Step("push", pushed))


def target_of(principal: Principal) -> str:
    """A name that the principal may push; "" when there is none."""
    name = principal.name.partition(":")[2] or "library"
    spaces = [name, "library"]
    spaces += [grant.pattern.partition("/")[0] for grant in principal.grants]
    for space in spaces:
        if _is_plain(space) and allowed(principal, Action.CREATE, f"{space}/alpine"):
            return f"{space}/alpine:latest"
    exact = [grant.pattern for grant in principal.grants if "*" not in grant.pattern]
    found = next((one for one in exact if allowed(principal, Action.CREATE, one)), "")
    return f"{found}:latest" if found else ""


def _is_plain(space: str) -> bool:
    return space.isascii() and space.isalnum() and space == space.lower()
