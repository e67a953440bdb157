"""The house: imports go one way, what must start fast does not load torch, files stay small."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_study

from asymbp_cli.results.provenance import collect
from asymbp_cli.results.store import Store

ROOT = Path(__file__).parent.parent


def test_imports_go_one_way() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "4 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["ls", "methods"],
        ["ls", "schemes"],
        ["ls", "datasets"],
        ["ls", "recipes"],
        ["ls", "tables"],
        ["validate", str(ROOT / "recipes/examples/usf-digits.yaml")],
        ["schema"],
        ["reproduce", "--table", "1"],
        ["report"],
        ["report", "--to", "csv"],
        ["ls", "runs"],
        ["show", ""],
        ["store", "merge", "results", "--results", "other"],
    ],
)
def test_starts_without_torch(arguments: list[str], tmp_path: Path) -> None:
    with Store.open(tmp_path / "results") as store:  # one run, not trained
        grid = small_study.grid("SGD", multipliers=(1.0,))
        with store.writing():
            store.save_dataset(small_study.INFO)
            store.save_grid(grid)
            store.begin(grid.all_runs().values(), 0, collect("cpu"))
    code = (
        "import sys; from asymbp_cli.cli.app import main; sys.argv = ['asymbp', *sys.argv[1:]]\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_rooms_are_few_files_and_functions_short() -> None:
    package = ROOT / "asymbp_cli"
    rooms = [path for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    assert 10 < len([room for room in rooms if not room.name.startswith("__")]) <= 21
    files = list(package.rglob("*.py"))
    assert len(files) > 100
    assert not {str(file): n for file in files if (n := len(file.read_text().splitlines())) > 300}
    assert not [f"{file}: {name}" for file in files for name, lines in _functions(file) if lines > 45]


def test_no_two_files_of_tests_have_one_name() -> None:
    """Else pytest takes the second one for the first, and collects nothing."""
    names = Counter(file.name for file in (ROOT / "tests").rglob("*.py") if file.name != "conftest.py")
    assert not [name for name, number in names.items() if number > 1]


def test_every_table_of_text_shows_names_as_they_are() -> None:
    """Without `disable_numparse` tabulate prints the class 001 as 1, and 1e3 as 1000."""
    calls = [
        call
        for file in (ROOT / "asymbp_cli").rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "tabulate"
    ]
    assert calls
    given = [{word.arg: word.value for word in call.keywords} for call in calls]
    assert [
        words for words in given if ast.unparse(words.get("disable_numparse", ast.Constant(0))) != "True"
    ] == []


def test_numbers_are_read_in_the_digits_0_to_9() -> None:
    """`\\d`, `isdigit` and `isdecimal` take the digits of every script, which nobody means in a name."""
    files = [file for file in (ROOT / "asymbp_cli").rglob("*.py") if file.name not in ("text.py", "latex_text.py")]
    nodes = [(file.name, node) for file in files for node in ast.walk(ast.parse(file.read_text()))]
    texts = [(name, node.value) for name, node in nodes if isinstance(node, ast.Constant)]
    assert [at for at in texts if isinstance(at[1], str) and re.search(r"(?<!\\)\\d(?![a-z])", at[1])] == []
    calls = [(name, node.attr) for name, node in nodes if isinstance(node, ast.Attribute)]
    assert [at for at in calls if at[1] in ("isdigit", "isdecimal", "isnumeric")] == []


def _functions(file: Path) -> Iterator[tuple[str, int]]:
    """Yield the name of each function, and its lines without its docstring."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef) and node.end_lineno:
            docstring = ast.get_docstring(node, clean=False) or ""
            yield node.name, node.end_lineno - node.lineno + 1 - len(docstring.splitlines())
