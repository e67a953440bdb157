"""`asymbp completion`."""

import click

from asymbp_cli.cli.shells import SHELLS, write_script


@click.command("completion")
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script with which a shell completes asymbp: commands, options, and the names that they take.

    Names are those of recipes, tables, datasets, protocols, executors and settings, and of the runs and tables in
    results. Run the line of your shell once, then open a new one. In zsh, compinit must come before it.

    \b
    Example:
      asymbp completion bash > ~/.asymbp.bash && echo '. ~/.asymbp.bash' >> ~/.bashrc
      asymbp completion zsh > ~/.asymbp.zsh && echo '. ~/.asymbp.zsh' >> ~/.zshrc
      asymbp completion fish > ~/.config/fish/completions/asymbp.fish
    """
    click.echo(write_script(context.find_root().command, shell), nl=False)
