"""What to type to get something."""

import pytest

from kho.server.index.catalogue.commands import Address, Command, commands

DIGEST = f"sha256:{'a' * 64}"
TLS = Address("registry.example", True)
PLAIN = Address("registry.example:5000", False)
LOCAL = Address("127.0.0.1:5000", False)


def of(address: Address, **more: str) -> dict[str, Command]:
    found = commands(address, "team/web", "1.0", DIGEST, **more)
    return {one.tool: one for one in found}


def test_over_tls_nothing_needs_consent() -> None:
    found = of(TLS)
    assert found["docker"].by_tag == "docker pull registry.example/team/web:1.0"
    assert found["podman"].by_digest == f"podman pull registry.example/team/web@{DIGEST}"
    assert (
        found["skopeo"].by_tag == "skopeo copy docker://registry.example/team/web:1.0 oci:web:1.0"
    )
    assert found["dockerfile"].by_digest == f"FROM registry.example/team/web@{DIGEST}"
    assert {one.note for one in found.values()} == {""}
    assert not any(
        "tls" in (one.by_tag or "") or "plain" in (one.by_tag or "") for one in found.values()
    )


def test_without_tls_each_program_is_told() -> None:
    found = of(PLAIN)
    assert (
        found["podman"].by_tag
        == "podman pull --tls-verify=false registry.example:5000/team/web:1.0"
    )
    assert "--insecure-registry" in str(found["nerdctl"].by_tag)
    assert "--src-tls-verify=false" in str(found["skopeo"].by_digest)
    assert found["kho"].by_tag == "kho pull --plain-http registry.example:5000/team/web:1.0"
    assert found["docker"].note == "docker-insecure-registries"
    assert found["crictl"].note == "containerd-hosts"


@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1:80", "[::1]:5000", "localhost"])
def test_docker_trusts_its_own_machine(host: str) -> None:
    assert of(Address(host, False))["docker"].note == ""


@pytest.mark.parametrize("host", ["localhost.example", "10.0.0.1:5000", "[::2]:1", ""])
def test_docker_trusts_no_other(host: str) -> None:
    assert of(Address(host, False))["docker"].note == "docker-insecure-registries"


def test_a_chart_is_named_by_its_version() -> None:
    chart = "application/vnd.cncf.helm.config.v1+json"
    helm = commands(TLS, "charts/web", "1.0_build.2", DIGEST, kind="artifact", artifact_type=chart)[
        0
    ]
    assert helm.by_tag == "helm pull oci://registry.example/charts/web --version 1.0+build.2"
    assert helm.by_digest == f"helm pull oci://registry.example/charts/web@{DIGEST}"
    assert "--plain-http" in str(of(LOCAL, kind="artifact", artifact_type=chart)["helm"].by_tag)


def test_an_artifact_is_no_image() -> None:
    assert set(of(TLS, kind="artifact", artifact_type="x/y")) == {"oras", "kho", "skopeo"}
    assert (
        of(LOCAL, kind="artifact")["oras"].by_tag
        == "oras pull --plain-http 127.0.0.1:5000/team/web:1.0"
    )


def test_a_pod_has_a_name_that_kubernetes_takes() -> None:
    found = commands(TLS, "team/web_app.v2", "1.0", None)
    pod = next(one for one in found if one.tool == "kubernetes")
    assert pod.by_digest is None
    assert pod.by_tag == (
        "containers:\n  - name: web-app-v2\n    image: registry.example/team/web_app.v2:1.0\n"
    )
