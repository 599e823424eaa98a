"""`khod trust`: issuers whose workloads come in without a secret."""

import json
import sys
from collections.abc import Callable
from typing import Any, Final

import click

from kho.server.commands.operator import (
    OPERATOR,
    Flags,
    as_json,
    configuration,
    fail,
    operation,
    run,
    show,
)
from kho.server.database.identities.trust_rules import TrustRow
from kho.server.index.workloads import trust
from kho.server.policy import trust_presets
from kho.server.policy.trust import Rule

_COLUMNS: Final = ("name", "issuer", "audience", "conditions", "robot")
_MOST: Final = 65536
_PRESETS: Final = ("github", "gitlab", "kubernetes")
# Options of a preset, each with the presets that know it.
_KNOWN: Final = {
    "repository_id": ("github",),
    "owner_id": ("github",),
    "workflows": ("github",),
    "events": ("github",),
    "project_id": ("gitlab",),
    "branches": ("github", "gitlab"),
    "tags": ("github", "gitlab"),
    "environments": ("github", "gitlab"),
    "protected": ("gitlab",),
}

Command = Callable[..., Any]


@click.group("trust")
def group() -> None:
    """Issuers whose workloads may come in without a secret.

    A CI job or pod shows the token that its own platform gave it, as the password of
    `docker login -u oidc`. The first rule, by name, whose issuer, audience and conditions fit
    lets it in as the rule's robot.
    """


def _preset_options(command: Command) -> Command:
    options = (
        click.option("--github", metavar="OWNER/REPO", help="Workflows of a GitHub repository."),
        click.option("--repository-id", metavar="N", help="The repository's id at GitHub."),
        click.option("--owner-id", metavar="N", help="Its owner's id at GitHub."),
        click.option(
            "--workflow",
            "workflows",
            multiple=True,
            metavar="FILE",
            help="Only this workflow, for example release.yml; repeatable.",
        ),
        click.option(
            "--event",
            "events",
            multiple=True,
            metavar="EVENT",
            help=f"Only these events; '*' is any  [{', '.join(trust_presets.EVENTS)}].",
        ),
        click.option("--gitlab", metavar="GROUP/PROJECT", help="Jobs of a GitLab project."),
        click.option("--project-id", metavar="N", help="The project's id at GitLab."),
        click.option(
            "--protected/--unprotected",
            default=None,
            help="Only protected branches and tags of GitLab, or any  [protected].",
        ),
        click.option(
            "--branch",
            "branches",
            multiple=True,
            metavar="GLOB",
            help="Only these branches (GitHub, GitLab); repeatable.",
        ),
        click.option(
            "--tag",
            "tags",
            multiple=True,
            metavar="GLOB",
            help="Only these tags (GitHub, GitLab); repeatable.",
        ),
        click.option(
            "--environment",
            "environments",
            multiple=True,
            metavar="GLOB",
            help="Only these environments (GitHub, GitLab); repeatable.",
        ),
        click.option("--kubernetes", metavar="NAMESPACE/NAME", help="Pods of a service account."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@group.command("add")
@click.argument("name")
@click.option("--robot", required=True, metavar="NAME", help="Whom the workload comes in as.")
@click.option("--issuer", metavar="URL", help="The token's iss, exactly.")
@click.option("--audience", metavar="TEXT", help="What the token's aud must be  [http.public_url].")
@click.option(
    "--claim",
    "claims",
    multiple=True,
    metavar="NAME=GLOB",
    help="A claim and what it must be; repeated for one claim: one of them.",
)
@click.option(
    "--jwks-url",
    metavar="URL",
    help="Where the issuer's keys are, if not where it says; also file:///path.",
)
@_preset_options
@operation
def add_command(
    *,
    name: str,
    robot: str,
    issuer: str | None,
    audience: str | None,
    claims: tuple[str, ...],
    jwks_url: str | None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Let workloads in as a robot.

    Give --github, --gitlab or --kubernetes, or --issuer with a --claim at least that says which
    workload it is. All conditions must hold.
    """
    flags: Flags = {key: options.pop(key) for key in ("config", "data", "database")}
    try:
        issuer, conditions = _preset(issuer, options)
        conditions = _with_claims(conditions, claims)
    except ValueError as error:
        fail(str(error), code=2)
    audience = audience or configuration(flags).http.public_url
    if not audience:
        fail("give --audience, the aud that the tokens will have, or set http.public_url", code=2)
    rule = Rule(name, issuer, audience, conditions, robot, jwks_url)
    run(flags, lambda resources: trust.add(resources, rule, OPERATOR))


def _preset(issuer: str | None, options: Flags) -> tuple[str, dict[str, tuple[str, ...]]]:
    """The issuer and the conditions of the preset that was asked for. Raises ValueError."""
    named = [one for one in _PRESETS if options[one]]
    if len(named) > 1:
        raise ValueError(f"give one of --{' and --'.join(named)}")
    preset = named[0] if named else ""
    given = {key: value for key, value in options.items() if value not in (None, ())}
    for key in given.keys() & _KNOWN.keys():
        if preset not in _KNOWN[key]:
            words = " or ".join(f"--{one}" for one in _KNOWN[key])
            raise ValueError(f"--{_option(key)} goes with {words} only")
    text = str(given.pop(preset, ""))
    more: dict[str, Any] = given
    if preset == "github":
        found = trust_presets.github(text, **more)
        return issuer or trust_presets.GITHUB_ISSUER, dict(found)
    if preset == "gitlab":
        found = trust_presets.gitlab(text, **{"project_id": None, **more})
        return issuer or trust_presets.GITLAB_ISSUER, dict(found)
    if issuer is None:
        raise ValueError("give --issuer, or --github or --gitlab which know theirs")
    return issuer, dict(trust_presets.kubernetes(text)) if preset else {}


def _option(key: str) -> str:
    singular = {"branches": "branch", "workflows": "workflow", "events": "event"}
    singular |= {"tags": "tag", "environments": "environment"}
    return singular.get(key, key).replace("_", "-")


def _with_claims(
    conditions: dict[str, tuple[str, ...]], claims: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    """The conditions and those of `NAME=GLOB`, which must not loosen them. Raises ValueError."""
    own: dict[str, tuple[str, ...]] = {}
    for text in claims:
        claim, equals, glob = text.partition("=")
        if not claim or not equals or not glob:
            raise ValueError(f"--claim {text!a} is not NAME=GLOB")
        if claim in conditions:
            raise ValueError(f"--claim {claim}: there is a condition on this claim already")
        own[claim] = (*own.get(claim, ()), glob)
    return {**conditions, **own}


@group.command("list")
@as_json
@operation
def list_command(*, json_wanted: bool, **flags: object) -> None:
    """List the rules in the order in which they are asked."""
    found = run(flags, trust.every)
    rows = [_told(row) for row in found]
    if not json_wanted:
        rows = [
            {**row, "conditions": _line(one.rule)} for row, one in zip(rows, found, strict=True)
        ]
    show(rows, _COLUMNS, json_wanted=json_wanted)


@group.command("show")
@click.argument("name")
@as_json
@operation
def show_command(*, name: str, json_wanted: bool, **flags: object) -> None:
    """Show one rule."""
    row = run(flags, lambda resources: trust.find(resources, name))
    if json_wanted:
        click.echo(json.dumps(_told(row)))
        return
    for key in ("name", "issuer", "audience", "robot", "jwks_url"):
        click.echo(f"{key:10}  {getattr(row.rule, key) or '-'}")
    for claim, globs in row.rule.conditions.items():
        click.echo(f"{'condition':10}  {claim} is {' or '.join(globs)}")


@group.command("remove")
@click.argument("name")
@operation
def remove_command(*, name: str, **flags: object) -> None:
    """Take a rule away; tokens that it let in end within auth.token_seconds."""
    run(flags, lambda resources: trust.remove(resources, name, OPERATOR))


@group.command("test")
@as_json
@operation
def test_command(*, json_wanted: bool, **flags: object) -> None:
    """Read a token from standard input and say which rule lets it in, or why none does.

    Exit code 1 when none does.
    """
    token = sys.stdin.read(_MOST).strip()
    trial = run(flags, lambda resources: trust.test(resources, token))
    if json_wanted:
        rule = None if trial.rule is None else trust.told(trial.rule)
        problem = None if trial.problem is None else str(trial.problem)
        refusals = {name: list(map(str, found)) for name, found in trial.refusals.items()}
        told = {"rule": rule, "problem": problem, "refusals": refusals}
        click.echo(json.dumps({**told, "claims": trial.claims}))
    else:
        _print(trial)
    sys.exit(0 if trial.rule is not None else 1)


def _print(trial: trust.Trial) -> None:
    for name, reasons in trial.refusals.items():
        click.echo(f"rule {name}: no")
        for reason in reasons:
            click.echo(f"  {reason}")
    if trial.rule is not None:
        click.echo(f"rule {trial.rule.name}: yes, as robot {trial.rule.robot}")
    elif trial.problem is not None:
        click.echo(f"refused: {trial.problem}")
    else:
        click.echo("refused: no rule lets the token in")


def _told(row: TrustRow) -> dict[str, object]:
    return {**trust.told(row.rule), "created_at": row.created_at}


def _line(rule: Rule) -> str:
    return " ".join(f"{claim}={'|'.join(globs)}" for claim, globs in rule.conditions.items())
