"""What else docker and others take for a password: tokens, an htpasswd file, what a login left."""

import json
from collections.abc import Callable, Iterator

import bcrypt
import pytest

from tests.issuer import AUDIENCE, Issuer, github_claims

from .guarded import Guarded, guarded
from .signing_in import CLIENTS, Client
from .small_images import SmallImage

NewClient = Callable[[str, Guarded], Client]
_NO_ACCESS = (
    r"denied|unauthorized|authentication required|invalid username/password"
    r"|credential not found|no basic auth credentials"
)


@pytest.fixture
def repository(request: pytest.FixtureRequest) -> str:
    """A name that no other test uses."""
    return f"secrets/{request.node.name.lower().replace('[', '-').rstrip(']')}"


@pytest.mark.parametrize("name", ["docker", "podman", "crane"])
def test_personal_token_as_password(
    name: str, http_door: Guarded, image: SmallImage, repository: str, new_client: NewClient
) -> None:
    scope = f"{repository}:pull,push"
    words = ("tokens", "create", "--user", "willa", "--name", repository.replace("/", "-"))
    token = http_door.khod(*words, "--scope", scope, "--expires", "1d")
    assert token.startswith("khop_")
    client = new_client(name, http_door)
    client.login("willa", token).must_succeed()
    client.push(image, repository).must_succeed()
    client.pull(repository).must_succeed()
    client.push(image, "secrets/beyond-the-token").must_be_refused(_NO_ACCESS)


def test_docker_keeps_a_refresh_token_and_not_the_password(
    http_door: Guarded, image: SmallImage, repository: str, new_client: NewClient
) -> None:
    client, other = new_client("docker", http_door), new_client("docker", http_door)
    for one in (client, other):
        one.login("willa").must_succeed()
    kept = json.loads((client.home / "config.json").read_text())["auths"][client.host]
    assert kept["identitytoken"]
    other.logout().must_succeed()
    client.push(image, repository).must_succeed()
    client.pull(repository).must_succeed()
    other.pull(repository).must_be_refused(_NO_ACCESS)


@pytest.fixture(scope="module")
def of_a_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server whose users are in an htpasswd file as well."""
    home = tmp_path_factory.mktemp("file")
    users = home / "htpasswd"
    users.write_text(f"hanna:{_hashed('from-the-file')}\n")
    settings = {"KHO_AUTH_HTPASSWD": str(users), "KHO_AUTH_HTPASSWD_ROLE": "writer"}
    with guarded(home / "server", people=["willa"], settings=settings) as door:
        yield door


def _hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(5)).decode()


@pytest.mark.parametrize("name", ["docker", "skopeo", "oras"])
def test_user_of_an_htpasswd_file(
    name: str, of_a_file: Guarded, image: SmallImage, new_client: NewClient
) -> None:
    client = new_client(name, of_a_file)
    client.login("hanna", "not-from-the-file").must_be_refused(_NO_ACCESS)
    client.login("hanna", "from-the-file").must_succeed()
    client.push(image, f"{name}/file").must_succeed()
    client.pull(f"{name}/file").must_succeed()


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server that asks for Basic, as registry:2 with an htpasswd file does."""
    home = tmp_path_factory.mktemp("basic")
    settings = {"KHO_AUTH_CHALLENGE": "basic"}
    with guarded(home / "server", people=["willa"], settings=settings) as door:
        challenge = door.ask("GET", "/v2/").headers["WWW-Authenticate"]
        assert challenge == 'Basic realm="kho"'
        yield door


@pytest.mark.parametrize("name", CLIENTS)
def test_basic_in_place_of_tokens(
    name: str, basic: Guarded, image: SmallImage, new_client: NewClient
) -> None:
    client = new_client(name, basic)
    client.login("willa").must_succeed()
    client.push(image, f"{name}/basic").must_succeed()
    client.pull(f"{name}/basic").must_succeed()
    client.logout().must_succeed()
    client.pull(f"{name}/basic").must_be_refused(_NO_ACCESS)


@pytest.fixture(scope="module")
def issuer(http_door: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    """A CI service whose jobs of octo/app on main may push to ci/**."""
    service = Issuer()
    service.url = "https://ci.example"
    keys = tmp_path_factory.mktemp("issuer") / "keys.json"
    keys.write_text(json.dumps({"keys": [service.jwk()]}))
    http_door.khod("robots", "add", "ci")
    http_door.khod("grants", "add", "robot:ci", "writer", "ci/**")
    where = ("--issuer", service.url, "--audience", AUDIENCE, "--jwks-url", keys.as_uri())
    conditions = ("--claim", "repository_id=74", "--claim", "ref=refs/heads/main")
    http_door.khod("trust", "add", "octo-app", "--robot", "ci", *where, *conditions)
    return service


@pytest.mark.parametrize("name", ["docker", "podman", "crane", "oras"])
def test_token_of_a_ci_job_as_password(
    name: str, http_door: Guarded, issuer: Issuer, image: SmallImage, new_client: NewClient
) -> None:
    client = new_client(name, http_door)
    client.login("oidc", issuer.token(github_claims(issuer.url))).must_succeed()
    client.push(image, f"ci/{name}").must_succeed()
    client.pull(f"ci/{name}").must_succeed()
    client.push(image, f"{name}/not-of-ci").must_be_refused(_NO_ACCESS)


def test_token_of_a_job_on_another_branch(
    http_door: Guarded, issuer: Issuer, new_client: NewClient
) -> None:
    token = issuer.token(github_claims(issuer.url, ref="refs/heads/fork"))
    new_client("docker", http_door).login("oidc", token).must_be_refused(_NO_ACCESS)
