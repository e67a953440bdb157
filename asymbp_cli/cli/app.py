"""The `asymbp` command: a group whose subcommands are imported only when called, so that help starts fast."""

import importlib
import os
import re
import sys

import click

from asymbp_cli import __version__
from asymbp_cli.cli.interruption import handle_interruptions, leave
from asymbp_cli.cli.names import Item
from asymbp_cli.cli.streams import (
    TolerantStream,
    explain_loss,
    explain_unwritten,
    measure_terminal,
    protect_streams,
)
from asymbp_cli.errors import AsymbpError, StudyInterrupted, explain_limit
from asymbp_cli.spawn import ignore_interruptions
from asymbp_cli.text import nearest, printable_path

#: command -> (module with a click command named `command`, one-line help)
COMMANDS = {
    "reproduce": ("reproduce", "Reproduce tables of the paper."),
    "init": ("init", "Write a recipe with comments, to start from."),
    "validate": ("validate", "Check recipe files without training."),
    "train": ("train", "Train recipes: all their rates, then one table each."),
    "plan": ("plan_command", "Say what a study costs before it is trained: hours, memory, a schedule."),
    "report": ("report", "Render the results as a report."),
    "conclusions": ("conclusions", "Say which of the paper's conclusions hold on the results, and why."),
    "export": ("export", "Write curves, or the weights of a run, for other programs."),
    "compare": ("compare", "Compare two results or two protocols cell by cell."),
    "store": ("store", "Export results to a file, or merge those of other machines."),
    "data": ("data", "See, fetch and check the datasets."),
    "ls": ("ls", "List datasets, networks, schemes, methods, protocols, recipes, tables or runs."),
    "show": ("show", "Show one run, or cells of tables: where a number comes from, and how to get it again."),
    "schema": ("schema", "Print the JSON Schema of recipes and the like, for editors."),
    "completion": ("completion", "Print the script with which bash, zsh or fish completes names."),
    "bench": ("bench", "Measure this machine: feedback overhead and speed, as ratios."),
}

#: what click calls the kinds of numbers -> what people do
_NUMBERS = {
    "integer": "whole number",
    "integer range": "whole number",
    "float": "number",
    "float range": "number",
}


class LazyGroup(click.Group):
    """Imports a command's module when the command is used, and suggests names for unknown commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"asymbp_cli.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a command, or fail with the name of the nearest one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            hint = nearest(args[0], COMMANDS)
            ctx.fail(f'no such command "{args[0]}".{hint} The commands are {", ".join(COMMANDS)}.')
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Item]:
        """Return the commands that begin so, without importing them, and options."""
        names = [Item(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="asymbp")
def cli() -> None:
    """Train networks whose feedback weights differ from their forward weights, and reproduce the tables of
    "How Important Is Weight Symmetry in Backpropagation?" (Liao, Leibo, Poggio 2016).

    \b
    Example:
      asymbp reproduce --table 2
      asymbp init my.yaml
      asymbp train my.yaml
      asymbp report --to html --output report.html
    """


def main() -> None:
    """Run the command line; exit codes: 0 done, 1 some runs failed, 2 invalid input, 130 interrupted."""
    if "_ASYMBP_COMPLETE" in os.environ:  # a shell asks for completions
        from asymbp_cli.cli.shells import answer

        answer(cli)
        return
    output, _ = protect_streams()
    handle_interruptions()
    code = _run()
    ignore_interruptions()  # what is done is done
    output.flush()
    sys.exit(max(code, _report_loss(output)))


def _report_loss(output: TolerantStream) -> int:
    """Say why output was lost, and return the exit code of that; who closes it wants no more than what is kept."""
    loss = explain_loss(output)
    if loss is None or (output.is_closed and output.kept):
        return 0
    if output.kept:
        return _fail(f"standard output could not be written: {loss}. {output.kept}", 1)
    return _fail(explain_unwritten("standard output", loss, output.error), 2)


def _run() -> int:
    """Run the command, print its error if it has one, and return its exit code."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return _fail("the working directory was deleted. Change to another one", 2)
    try:
        code = cli.main(prog_name="asymbp", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except (click.exceptions.Abort, KeyboardInterrupt) as error:
        # click takes any EOFError for the end of standard input, which is never read
        if isinstance(error.__cause__, EOFError):
            raise error.__cause__ from None
        ignore_interruptions()
        _print(_describe_interruption(error.__cause__ or error))
        leave()
    except click.UsageError as error:
        return _fail_usage(error)
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except AsymbpError as error:
        return _fail(str(error), error.exit_code)
    except Exception as error:
        if (limit := explain_limit(error)) is None:
            raise
        return _fail(limit, 2)


def _describe_interruption(error: BaseException) -> str:
    """Return the message of an interruption; only trainings have something to resume."""
    if isinstance(error, StudyInterrupted):
        return f"interrupted: {error}. Run the same command again to resume"
    return "interrupted"


def _fail_usage(error: click.UsageError) -> int:
    """Print the error of a command line in one message, with the help to read next."""
    command = error.ctx.command_path.split()[1:] if error.ctx else []
    hint = _find_hint(error)
    message = " ".join(error.format_message().split())  # click lists choices in lines of their own
    if hint and isinstance(error, click.NoSuchOption):
        message = f"No such option '{error.option_name}'."  # without options that are only spelled alike
    for kind, name in _NUMBERS.items():
        message = message.replace(f"is not a valid {kind}.", f"is not a {name}.")
    if not message or isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        error.show()
        return 2
    message += hint
    return _fail(f"{message} ({' '.join(['asymbp', *command, '--help'])})", 2)


def _find_hint(error: click.UsageError) -> str:
    """Return a hint for an option or argument that a command does not have; nothing if there is none."""
    if error.ctx is None:
        return ""
    command = error.ctx.command
    if not isinstance(error, click.NoSuchOption):
        file = re.fullmatch(r"Got unexpected extra argument \((.+)\)", error.message)
        return f". Write --output {file[1]}" if file and _has(command, "--output") else ""
    from asymbp_cli.specs.methods import Method
    from asymbp_cli.specs.protocol import Protocol

    option = error.option_name
    field = option.lstrip("-").replace("-", "_")
    if _has(command, "--set") and field in Protocol.model_fields:
        return f" Write --set protocol.{field}=VALUE"
    if _has(command, "--set") and field in ("dataset", "network", "method", *Method.model_fields):
        remedy = f"--set {field}=VALUE" if _has(command, "--recipe") else "one: asymbp init mine.yaml"
        return f" It is a key of recipes. Write {remedy}"
    owners = [name for name in COMMANDS if (other := cli.get_command(error.ctx, name)) and _has(other, option)]
    if command is cli:
        return f" Write it after the command: asymbp {owners[0]} {option} ..." if owners else ""
    return f" It belongs to asymbp {', '.join(owners[:3])}" if owners else ""


def _has(command: click.Command, option: str) -> bool:
    return any(option in parameter.opts for parameter in command.params)


def _fail(message: str, code: int) -> int:
    _print(message)
    return code


def _print(message: str) -> None:
    """Print a message, on a terminal wrapped between words; control characters in it do not reach that."""
    lines = list(map(printable_path, f"asymbp: {message}".split("\n")))
    if sys.stderr.isatty():
        from asymbp_cli.cli.layout import wrap

        width, _ = measure_terminal(sys.stderr)
        lines = [part for line in lines for part in wrap(line, width)]
    click.echo("\n".join(lines), err=True)
