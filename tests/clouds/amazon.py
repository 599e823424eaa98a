"""ECR, which has Basic alone and repositories that are made beforehand; and its public gallery."""

import secrets
from dataclasses import dataclass, field

from aiohttp import web

from .shape import Shape, basic_of, refused
from .upstream import name_of

ACCOUNT = "123456789012"
HOURS_12 = 12 * 3600.0


@dataclass
class Ecr(Shape):
    """A password holds for 12 hours; `repositories` are those that exist."""

    name: str = "ecr"
    host: str = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
    cdn_host: str = "prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com"
    user: str = "AWS"
    own: str = ""
    repositories: set[str] = field(default_factory=lambda: {"kholab/app", "kholab/copy"})
    made: float | None = None

    @property
    def reference(self) -> str:
        return f"{self.host}/kholab/app"

    def refusal(self, request: web.Request) -> web.StreamResponse | None:
        found = basic_of(request)
        if found != (self.user, self.secret):
            realm = f'Basic realm="https://{self.host}/",service="ecr.amazonaws.com"'
            headers = {"WWW-Authenticate": realm}
            return web.Response(status=401, text="Not Authorized", headers=headers)
        self.made = self.clock() if self.made is None else self.made
        if self.clock() > self.made + HOURS_12:
            return refused(
                403,
                "DENIED",
                "Your authorization token has expired. Reauthenticate and try again.",
            )
        name = name_of(request.path)
        if name and name not in self.repositories:
            told = f"The repository with name '{name}' does not exist in the registry with id"
            return refused(404, "NAME_UNKNOWN", f"{told} '{ACCOUNT}'")
        return None


@dataclass
class EcrPublic(Shape):
    """Tokens for everybody, who may pull; the path of the realm ends with a slash."""

    name: str = "ecr-public"
    host: str = "public.ecr.aws"
    cdn_host: str = "d5l0dvt14r5h8.cloudfront.net"
    realm: str = "https://public.ecr.aws/token/"
    service: str = "public.ecr.aws"
    user: str = "AWS"
    public: tuple[str, ...] = ("kholab/",)

    async def token(self, request: web.Request) -> web.StreamResponse | None:
        if request.path != "/token/":
            return None
        found = basic_of(request)
        if found is not None and found != (self.user, self.secret):
            return web.Response(status=401, text="Not Authorized")
        user = found[0] if found else f"anonymous-{secrets.token_hex(2)}"
        return web.json_response({"token": self.issue(user, request.query.getall("scope", []))})
