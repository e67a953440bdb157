"""The README shows the live help of every command. `python tests/test_docs.py` writes it anew."""

import re
from pathlib import Path

import click
import pytest

from asymbp_cli.cli.app import COMMANDS, cli

README = Path(__file__).parent.parent.parent / "README.md"
_BLOCK = re.compile(r"(?<=<!-- help -->\n).*?(?=<!-- end of help -->)", re.DOTALL)


def live_help() -> str:
    parts = []
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        parent = click.Context(cli, info_name="asymbp", terminal_width=100, help_option_names=["-h", "--help"])
        context = click.Context(command, info_name=name, parent=parent, terminal_width=100)
        parts.append(f"### asymbp {name}\n\n```text\n{command.get_help(context).strip()}\n```\n")
    return "\n" + "\n".join(parts) + "\n"


def test_readme_shows_the_live_help() -> None:
    found = _BLOCK.search(README.read_text())
    assert found
    assert found[0] == live_help(), "run python tests/test_docs.py"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.help
    assert "Example:" in command.help
    assert f"asymbp {name}" in command.help.split("Example:")[1]
    first = command.help.splitlines()[0]
    assert len(first) > 10
    assert all(getattr(option, "help", "x") for option in command.params if isinstance(option, click.Option))


def test_every_yaml_in_the_readme_is_a_recipe_or_a_table(tmp_path: Path) -> None:
    from asymbp_cli.recipe.recipe import load_recipe
    from asymbp_cli.recipe.table import load_table

    blocks = re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
    tables = [block for block in blocks if "--table" in block.splitlines()[0]]
    assert len(tables) >= 1
    assert len(blocks) - len(tables) >= 2
    for block in blocks:
        file = tmp_path / "block.yaml"
        file.write_text(block)
        if block in tables:
            (table,) = load_table(str(file))
            assert table.columns
        else:
            assert load_recipe(file).methods


if __name__ == "__main__":
    README.write_text(_BLOCK.sub(lambda _: live_help(), README.read_text()))
