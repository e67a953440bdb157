"""The documents keep their promises: live help, commands that parse, files that load, links that lead somewhere.

`python tests/cli/test_docs.py` writes the command reference anew.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import click
import pytest

from asymbp_cli import __version__
from asymbp_cli.cli.app import COMMANDS, cli
from asymbp_cli.cli.ls import LISTS
from asymbp_cli.recipe.recipe import load_recipe
from asymbp_cli.recipe.table import load_table
from asymbp_cli.results.store import Store
from asymbp_cli.specs.measures import MEASURES
from asymbp_cli.specs.schemes import SCHEMES

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
REFERENCE = ROOT / "asymbp_cli/cli/README.md"
MAP = ROOT / "asymbp_cli/README.md"
DOCUMENTS = sorted(
    [
        README,
        *(file for folder in ("asymbp_cli", "recipes", "tests") for file in (ROOT / folder).rglob("README.md")),
    ]
)
_HELP = re.compile(r"(?<=<!-- help -->\n).*?(?=<!-- end of help -->)", re.DOTALL)


def _contexts() -> Iterator[click.Context]:
    """Yield every command as its help sees it: those of `asymbp`, each followed by its own subcommands."""
    root = click.Context(cli, info_name="asymbp", terminal_width=100, help_option_names=["-h", "--help"])
    for name in COMMANDS:
        context = _context(root, name)
        yield context
        if isinstance(context.command, click.Group):
            yield from (_context(context, subcommand) for subcommand in context.command.list_commands(context))


def _context(parent: click.Context, name: str) -> click.Context:
    assert isinstance(parent.command, click.Group)
    command = parent.command.get_command(parent, name)
    assert command is not None
    return click.Context(command, info_name=name, parent=parent, terminal_width=100)


CONTEXTS = {context.command_path: context for context in _contexts()}


def live_help() -> str:
    texts = (f"## {path}\n\n```text\n{context.get_help().strip()}\n```\n" for path, context in CONTEXTS.items())
    return "\n" + "\n".join(texts) + "\n"


def test_the_reference_shows_the_live_help() -> None:
    written = _HELP.search(REFERENCE.read_text())
    assert written
    assert written[0] == live_help(), "run python tests/cli/test_docs.py"


@pytest.mark.parametrize("path", CONTEXTS)
def test_every_command_explains_itself(path: str) -> None:
    command = CONTEXTS[path].command
    assert command.help
    assert "Example:" in command.help
    assert path in command.help.split("Example:")[1]
    assert len(command.help.splitlines()[0]) > 10
    assert all(getattr(option, "help", "x") for option in command.params if isinstance(option, click.Option))


def _code(text: str) -> Iterator[str]:
    """Yield what may be shell commands of a document: lines of blocks, and code within sentences."""
    for block in re.findall(r"```(?:sh|text)\n(.*?)```", text, re.DOTALL):
        yield from re.split(r"\n|&&", block.replace("\\\n", " "))
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    yield from (" ".join(code.split()) for code in re.findall(r"`([^`]+)`", outside))


def _commands(text: str) -> list[list[str]]:
    """Return the words of each `asymbp` command that has arguments; words in capitals after it stand for any."""
    code = [re.sub(r"^\s*(\.venv/bin/)?", "", line) for line in _code(text)]
    lines = [re.split(r" #| {3,}", line)[0] for line in code if line.startswith("asymbp ")]  # without remarks
    words = [list(takewhile(lambda word: word not in (">", "|"), shlex.split(line))) for line in lines]
    return [line for line in words if len(line) > 2 and line[1].islower() and "--help" not in line]


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_command_parses(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    monkeypatch.setattr(click.Command, "invoke", lambda self, context: parsed.append(context.command_path))
    commands = _commands(file.read_text())
    for _, *arguments in commands:
        cli.main(arguments, "asymbp", standalone_mode=False)
    assert len(parsed) > len(commands) or not commands  # groups too


def test_help_cuts_no_sentence_and_lists_what_ls_lists() -> None:
    for context in (*CONTEXTS.values(), click.Context(cli, info_name="asymbp", terminal_width=80)):
        assert "..." not in context.get_help().partition("\nCommands:")[2], context.command_path
        assert not re.search(r"^  --\S+ (INTEGER|FLOAT|PATH)", context.get_help(), re.MULTILINE), (
            context.command_path
        )
    assert f"WHAT is one of {', '.join(LISTS)}." in " ".join(CONTEXTS["asymbp ls"].get_help().split())


@pytest.mark.parametrize("path", CONTEXTS)
def test_every_example_of_a_help_parses(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the shell hands it over: a line of its own, up to a redirection."""
    parsed: list[str] = []
    monkeypatch.setattr(click.Command, "invoke", lambda self, context: parsed.append(context.command_path))
    lines = [line.strip() for line in (CONTEXTS[path].command.help or "").partition("Example:")[2].splitlines()]
    examples = [shlex.split(line) for line in lines if line]
    assert examples
    for program, *words in examples:
        assert program == "asymbp"
        parsed.clear()
        cli.main([*takewhile(lambda word: word not in (">", "|", "&&"), words)], "asymbp", standalone_mode=False)
        assert path in [*parsed, " ".join(["asymbp", *words[:2]])]


def test_the_python_of_the_page_on_extending_trains_a_recipe(tmp_path: Path) -> None:
    page = (ROOT / "asymbp_cli" / "README.md").read_text(encoding="utf-8")
    (tmp_path / "use.py").write_text(page.rpartition("```python\n")[2].partition("```")[0])
    (tmp_path / "mine.yaml").write_text("dataset: digits\nmethod: SGD\nprotocol: {extends: demo, epochs: 3}\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "use.py"], cwd=tmp_path, check=True, env=environment)
    with Store.open(tmp_path / "results", create=False) as store:
        assert [run.state for run in store.runs()].count("finished") > 0


def test_the_readme_has_commands_to_parse() -> None:
    assert len(_commands(README.read_text())) > 10


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_link_leads_to_a_file(file: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", file.read_text()) if "://" not in link]
    assert [link for link in links if not _leads_somewhere(file.parent, *link.partition("#")[::2])] == []


def _leads_somewhere(folder: Path, name: str, anchor: str) -> bool:
    target = folder / name
    if not target.exists() or not anchor:
        return target.exists()
    headings = re.findall(r"^#+ (.*)", target.read_text(), re.MULTILINE)
    return anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_map_of_the_package_is_complete() -> None:
    text = MAP.read_text()
    (tree,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    rooms = {file.name for file in MAP.parent.iterdir() if file.is_dir() or file.suffix == ".py"}
    named = set(re.findall(r"^\S+|(?<=  )[a-z]+\.py", tree, re.MULTILINE))
    assert {name.rstrip("/") for name in named} == {name for name in rooms if not name.startswith("_")}


@pytest.mark.parametrize(("file", "fewest"), [(MAP, 30), (ROOT / "tests/README.md", 8)], ids=["package", "tests"])
def test_every_path_exists(file: Path, fewest: int) -> None:
    paths = re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:\.py|\.yaml|/))`", file.read_text())
    assert len(paths) > fewest
    assert [path for path in paths if not ((file.parent / path).exists() or (ROOT / path).exists())] == []


def test_the_readme_links_to_every_page() -> None:
    pages = [
        str(file.relative_to(ROOT))
        for file in DOCUMENTS
        if file != README and "tests" not in file.relative_to(ROOT).parts
    ]
    assert len(pages) > 2
    assert [page for page in pages if f"({page})" not in README.read_text()] == []


def test_the_readme_is_one_page() -> None:
    assert len(README.read_text().splitlines()) <= 200


def test_the_readme_names_every_scheme_and_this_version() -> None:
    text = README.read_text()
    table = text.partition("## Feedback schemes")[2].partition("## ")[0]
    assert [name for name in SCHEMES if f"`{name}`" not in table.partition("`asymbp ls schemes`")[0]] == []
    assert f"version = {{{__version__}}}" in text


def test_every_yaml_in_the_readme_is_a_recipe_or_a_table(tmp_path: Path) -> None:
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


def test_every_measure_is_explained() -> None:
    text = (ROOT / "recipes/README.md").read_text()
    for key, measure in MEASURES.items():
        assert f"| `{key}` | {measure.meaning} | {measure.source} | {measure.cost or 'always made'} |" in text


if __name__ == "__main__":
    REFERENCE.write_text(_HELP.sub(lambda _: live_help(), REFERENCE.read_text()))
