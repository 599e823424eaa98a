"""`kho completion SHELL`."""

import click


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print what makes a shell complete commands, options, and names of local images.

    \b
    Examples:
      eval "$(kho completion bash)"       in ~/.bashrc
      eval "$(kho completion zsh)"        in ~/.zshrc, behind compinit
      kho completion fish > ~/.config/fish/completions/kho.fish
    """  # noqa: D301
    from click.shell_completion import get_completion_class  # noqa: PLC0415

    from kho.cli.completion import BASH  # noqa: PLC0415
    from kho.cli.main import main  # noqa: PLC0415

    if shell == "bash":
        click.echo(BASH, nl=False)
        return
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(main, {}, "kho", "_KHO_COMPLETE").source(), nl=False)
