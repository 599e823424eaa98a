"""`khod index`: what the index knows of repositories, found out again."""

import click

from kho.server.commands.operator import OPERATOR, configuration, fail, operation, run
from kho.server.registry import filling


@click.group("index")
def group() -> None:
    """What the index knows of repositories."""


@group.command("rebuild")
@click.argument("name", required=False)
@operation
def rebuild_command(*, name: str | None, **flags: object) -> None:
    """Have a running khod find out all it knows of a repository, or of all, once more.

    Sizes, images, labels and the words of the search come from what is stored. Pulls stay counted.
    """
    number = run(flags, lambda resources: filling.rebuild(resources, name, by=OPERATOR))
    if name is not None and not number:
        fail(f"there is no repository {name}; `khod repos list` shows which there are", code=3)
    when = "within a minute if there are few"
    if not configuration(flags).index.enabled:
        when = "once index.enabled is true again"
    click.echo(f"{number} to be done by a running khod, {when}")
