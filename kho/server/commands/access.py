"""`khod access`: which rule decides."""

import json
import sys
from typing import Final

import click

from kho.oci.errors import NameInvalid
from kho.server.commands.operator import as_json, fail, operation, run
from kho.server.index.rights.explain import explain

_DENIED: Final = 4


@click.group("access")
def group() -> None:
    """Ask who may do what, as the server would decide it now."""


@group.command("explain")
@click.argument("subject")
@click.argument("action")
@click.argument("repository")
@as_json
@operation
def explain_command(
    *, subject: str, action: str, repository: str, json_wanted: bool, **flags: object
) -> None:
    """Say whether SUBJECT may do ACTION on REPOSITORY, and which rule decides.

    SUBJECT is user:NAME, robot:NAME or anonymous; ACTION is pull, push, create, tag, overwrite,
    delete or settings. Exit code 0: allowed; 4: denied.
    """
    try:
        found = run(flags, lambda resources: explain(resources, subject, action, repository))
    except NameInvalid as error:
        fail(error.message, code=2)
    if json_wanted:
        rule = None if found.rule is None else found.rule._asdict()
        if rule is not None:
            rule["actions"] = sorted(rule["actions"])
        click.echo(json.dumps({**found._asdict(), "rule": rule}))
    else:
        verdict = "allowed" if found.allowed else "denied"
        click.echo(f"{verdict}: {found.why}")
    sys.exit(0 if found.allowed else _DENIED)
