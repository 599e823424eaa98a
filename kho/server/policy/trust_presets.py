"""Conditions on the claims of GitHub Actions, GitLab CI and Kubernetes (PROTOCOL 8.5).

Names of repositories and accounts come free and are taken by others: an id is pinned beside them.
"""

import re
from collections.abc import Sequence
from typing import Final

from kho.server.policy.errors import Disallowed
from kho.server.policy.trust import ACCOUNT, NAMESPACE, Conditions

GITHUB_ISSUER: Final = "https://token.actions.githubusercontent.com"
GITLAB_ISSUER: Final = "https://gitlab.com"
# What runs in the name of the ref. `pull_request_target` and `workflow_run` do too, but start by a
# stranger's pull request.
EVENTS: Final = ("push", "workflow_dispatch", "schedule", "release", "repository_dispatch")

_REPOSITORY: Final = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", re.ASCII)
_PROJECT: Final = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+", re.ASCII)
_ACCOUNT: Final = re.compile(r"([a-z0-9][a-z0-9-]{0,62})/([a-z0-9][a-z0-9.-]{0,252})", re.ASCII)
_ID: Final = re.compile(r"[0-9]{1,20}", re.ASCII)


def github(
    repository: str,
    *,
    repository_id: str | None = None,
    owner_id: str | None = None,
    branches: Sequence[str] = (),
    tags: Sequence[str] = (),
    environments: Sequence[str] = (),
    workflows: Sequence[str] = (),
    events: Sequence[str] = (),
) -> Conditions:
    """Workflows of a repository OWNER/REPO; all that is given must hold. Raises ValueError."""
    if not _REPOSITORY.fullmatch(repository):
        raise Disallowed(
            "%(repository)s is no repository; allowed is OWNER/REPO", repository=ascii(repository)
        )
    if repository_id is None and owner_id is None:
        raise Disallowed(
            "give the id of %(repository)s too, because a name can be taken by others"
            " once it is free: its repository id, as `gh api repos/%(repository)s --jq .id`"
            " prints it, or its owner id, as `gh api repos/%(repository)s --jq .owner.id` does",
            repository=repository,
        )
    found: dict[str, tuple[str, ...]] = {"repository": (repository,)}
    if repository_id is not None:
        found["repository_id"] = (_id(repository_id),)
    if owner_id is not None:
        found["repository_owner_id"] = (_id(owner_id),)
    _add_refs(found, "ref", [f"refs/heads/{one}" for one in branches], "branch")
    _add_refs(found, "ref", [f"refs/tags/{one}" for one in tags], "tag")
    if environments:
        found["environment"] = tuple(environments)
    if workflows:
        found["workflow_ref"] = tuple(_workflow(repository, one) for one in workflows)
    if "*" not in events:
        found["event_name"] = tuple(events) or EVENTS
    return found


def gitlab(
    project: str,
    *,
    project_id: str | None,
    branches: Sequence[str] = (),
    tags: Sequence[str] = (),
    environments: Sequence[str] = (),
    protected: bool = True,
) -> Conditions:
    """Jobs of a project GROUP/PROJECT; all that is given must hold. Raises ValueError.

    Without `protected` the pipelines of merge requests come in, those of forks perhaps too.
    """
    if not _PROJECT.fullmatch(project):
        raise Disallowed(
            "%(project)s is no project; allowed is GROUP/PROJECT", project=ascii(project)
        )
    if project_id is None:
        raise Disallowed(
            "give the id of %(project)s too, because a name can be taken by others once"
            " it is free: its project id, which the menu of the project's page copies",
            project=project,
        )
    found: dict[str, tuple[str, ...]] = {
        "project_path": (project,),
        "project_id": (_id(project_id),),
    }
    _add_refs(found, "ref_path", [f"refs/heads/{one}" for one in branches], "branch")
    _add_refs(found, "ref_path", [f"refs/tags/{one}" for one in tags], "tag")
    if environments:
        found["environment"] = tuple(environments)
    if protected:
        found["ref_protected"] = ("true",)
    return found


def kubernetes(account: str) -> Conditions:
    """Pods with the service account NAMESPACE/NAME. Raises ValueError."""
    parts = _ACCOUNT.fullmatch(account)
    if parts is None:
        raise Disallowed(
            "%(account)s is no service account; allowed is NAMESPACE/NAME", account=ascii(account)
        )
    return {
        "sub": (f"system:serviceaccount:{parts[1]}:{parts[2]}",),
        NAMESPACE: (parts[1],),
        ACCOUNT: (parts[2],),
    }


def _add_refs(
    found: dict[str, tuple[str, ...]], claim: str, globs: Sequence[str], kind: str
) -> None:
    if globs:
        found[claim] = (*found.get(claim, ()), *globs)
        found["ref_type"] = (*found.get("ref_type", ()), kind)


def _workflow(repository: str, name: str) -> str:
    """A file name is one of the repository's; anything with `/` is a `workflow_ref` itself."""
    return name if "/" in name else f"{repository}/.github/workflows/{name}@*"


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise Disallowed("%(text)s is no id; allowed are digits", text=ascii(text))
    return text
