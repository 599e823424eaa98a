"""The client's commands; so far only what `kho` is."""

import click

from kho import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kho", message="%(prog)s %(version)s")
def main() -> None:
    """kho, the client of the Kho container registry.

    The client's commands (login, push, pull, copy, ls and more) come with later releases. The
    server is `khod`: see `khod --help`. Any container client can push to it and pull from it.
    """


if __name__ == "__main__":
    main()
