"""What is said when the first account or robot comes: the registry is open no longer."""

import click


def say_first() -> None:
    """Say it, beside whatever the command prints."""
    click.echo(
        "khod: there was no account before: from now on the registry asks who is calling,"
        " and a running server does so within a second",
        err=True,
    )
