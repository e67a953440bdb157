"""Completion: what shells are told, in real shells if they are installed; fast, silent, by the names of `ls`."""

import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import small_study
from click.testing import CliRunner
from test_docs import CONTEXTS

from asymbp_cli.cli.app import cli
from asymbp_cli.cli.shells import SHELLS, VARIABLE, answer
from asymbp_cli.executors.registry import EXECUTORS, executor_files
from asymbp_cli.recipe.examples import recipe_files
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.specs.schemes import SCHEMES

ROOT = Path(__file__).parent.parent.parent
CLICK = tuple(map(int, version("click").split(".")[:3]))
Complete = Callable[..., list[str]]


@pytest.fixture
def complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Complete:
    """Return the completions of a line, by the protocol of bash; its words are those of bash."""
    monkeypatch.chdir(tmp_path)

    def ask(line: str, word: str | None = None) -> list[str]:
        monkeypatch.setenv("COMP_LINE", line)
        monkeypatch.setenv("COMP_WORD", line.rpartition(" ")[2] if word is None else word)
        monkeypatch.setenv(VARIABLE, "bash_complete")
        answer(cli)
        output, errors = capfdbinary.readouterr()
        assert errors == b""
        return [line.partition(",")[2] for line in output.decode().splitlines() if line.startswith("plain,")]

    return ask


def _store(directory: Path) -> set[str]:
    """Make results of a table by a protocol with spaces in its label; return the ids of its runs."""
    grid = small_study.grid("SGD").model_copy(update={"protocol_label": "quick with epochs=1"})
    small_study.train(directory, grid)
    return set(grid.all_runs())


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("train usf", {"usf-digits", "usf-readings"}),
        ("validate compare", {"compare-schemes"}),
        ("plan usf-d", {"usf-digits"}),
        ("init - --from usf", {"usf-digits", "usf-readings"}),
        ("init - --from table4", {"table4-c1", "table4-c2"}),
        ("init - --from mat", {"matconvnet", "matconvnet-quick"}),
        ("reproduce --table 4", {"4", "4-c1", "4-c2"}),
        ("plan --table ak", {"akrout2019"}),
        ("reproduce --table 2 --dataset flowers", {"flowers17", "flowers102"}),
        ("reproduce --table 2 --dataset al", {"all"}),
        ("reproduce --protocol q", {"quick"}),
        ("train x --executor s", {"slurm"}),
        ("train x --device cu", {"cuda", "cuda:0", "cuda:all"}),
        ("train x --log te", {"tensorboard="}),
        ("train x --rule h", {"held-out"}),
        ("plan --step-seconds h", {"h100"}),
        ("report --to h", {"html"}),
        ("ls init", {"initializations"}),
        ("completion f", {"fish"}),
        ("re", {"reproduce", "report"}),
        ("store pr", {"prune"}),
        ("train --dry", {"--dry-run"}),
        ("train x --set protocol.momentum", {"protocol.momentum=", "protocol.momentum_at_change="}),
        ("reproduce --set feed", set()),
        ("train x --workers ", set()),
        ("nothing --like th", set()),
        ("bench nothing th", set()),
        ("train x --seeds nonsense --device m", {"mps"}),
    ],
)
def test_names_are_completed(line: str, names: set[str], complete: Complete) -> None:
    assert set(complete(f"asymbp {line}")) == names


@pytest.mark.skipif(CLICK < (8, 2, 1), reason="not run: this click completes nothing after a command of a group")
@pytest.mark.parametrize(
    ("line", "names"), [("data fetch mnist al", {"all"}), ("data show flowers17", {"flowers17"})]
)
def test_names_are_completed_in_groups(line: str, names: set[str], complete: Complete) -> None:
    assert set(complete(f"asymbp {line}")) == names


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("train x --set protocol.gradient=", {"sum", "mean"}),
        ("train x --set protocol.decay_biases=", {"true", "false"}),
        ("train x --set protocol.measure=", {r"\[gradient-angle\]", r"\[rank\]", r"\[growth\]"}),
        ("train x --set network=", {*NETWORKS}),
        ("train x --set feedback=", {*SCHEMES} - {"mixed"}),
        ("train x --set protocol=", {"paper", "quick"}),
        ("train x --set keep_weights=", {"best", "last"}),
        ("reproduce --table=", {"2", "all"}),
        ("train --recipe=", {*recipe_files()}),
    ],
)
def test_values_follow_an_equals_sign_which_is_a_word_of_bash(
    line: str, names: set[str], complete: Complete
) -> None:
    assert names <= set(complete(f"asymbp {line}", "="))


def test_every_option_of_names_has_some() -> None:
    """Whoever adds an option whose value is a name completes it."""
    bare = [
        f"{path} {parameter.name}"
        for path, context in CONTEXTS.items()
        for parameter in context.command.params
        if re.search("NAME|TABLE|RECIPE|RUN|DEVICE", parameter.make_metavar(context))
        and parameter._custom_shell_complete is None
        and parameter.name != "partition"  # of a cluster
    ]
    assert bare == []


def test_files_and_folders_are_completed_beside_names(complete: Complete) -> None:
    for name in ("usf-mine.yaml", "usf-notes.txt", ".usf.yaml", "my table.yml", "deep/er/a.yaml"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    assert set(complete("asymbp train usf")) == {"usf-digits", "usf-readings", "usf-mine.yaml"}
    assert complete("asymbp train my") == [r"my\ table.yml"]
    assert complete('asymbp train "my', '"my') == ["my table.yml"]
    assert complete("asymbp train deep") == ["deep/"]
    assert complete("asymbp train deep/er/") == ["deep/er/a.yaml"]
    assert complete("asymbp train nowhere/") == []
    assert complete("asymbp reproduce --table ./us") == ["./usf-mine.yaml"]


def test_runs_and_tables_are_those_of_the_results(complete: Complete, tmp_path: Path) -> None:
    assert complete("asymbp show ") == complete("asymbp report --table ") == []
    assert not Path("results").exists()
    runs = _store(tmp_path / "results")
    assert set(complete("asymbp show ")) == runs == set(complete("asymbp export "))
    (first, *_) = sorted(runs)
    assert first in complete(f"asymbp show {first[:3]}")
    assert complete("asymbp report --table ") == [small_study.grid("SGD").key.partition("-")[2]]
    assert complete("asymbp export --protocol q") == [r"quick\ with\ epochs=1"]
    assert complete("asymbp export --protocol quick\\ with\\ epochs=", "=") == ["1"]
    assert complete("asymbp compare q") == [r"quick\ with\ epochs=1"]
    assert complete("asymbp export --dataset ") == complete("asymbp show --dataset ") == ["digits"]
    assert complete("asymbp show --column ") == ["SGD"]
    Path("results").rename("others")
    assert complete("asymbp show ") == []
    assert set(complete("asymbp show --results others ")) == runs


def test_what_is_wrong_is_silent_and_nothing_is_changed(complete: Complete, tmp_path: Path) -> None:
    _store(tmp_path / "results")
    file = Path("results/asymbp.sqlite")
    whole = file.read_bytes()
    names = {path.name for path in file.parent.iterdir()}
    assert complete("asymbp show ")
    assert (file.read_bytes(), {path.name for path in file.parent.iterdir()}) == (whole, names)
    file.write_bytes(b"damaged" * 100)
    assert complete("asymbp show ") == []
    file.unlink()
    file.mkdir()
    assert complete("asymbp report --table ") == []


def test_names_that_would_steer_a_terminal_are_left_out(complete: Complete) -> None:
    Path("a\x1b[31m.yaml").touch()
    Path("b.yaml").touch()
    assert set(complete("asymbp train ")) == {*recipe_files(), "b.yaml"}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_printed_for_each_shell(shell: str) -> None:
    done = CliRunner().invoke(cli, ["completion", shell])
    assert done.exit_code == 0
    assert VARIABLE in done.stdout
    assert shell == "fish" or "*=}" in done.stdout or "*[/=]" in done.stdout  # no space after KEY=
    assert "Example" not in done.stdout


def test_all_executors_are_named(complete: Complete) -> None:
    assert set(complete("asymbp train --executor ")) == {*EXECUTORS, *executor_files()}


@pytest.mark.parametrize(
    ("line", "most"),
    [
        ("train usf", 0.5),
        ("reproduce --table ", 0.5),
        ("train x --executor ", 0.5),
        ("train --set network=", 1.0),  # 0.3 if nothing else runs
    ],
)
def test_it_takes_no_torch_and_no_time(line: str, most: float, tmp_path: Path) -> None:
    code = (
        "import atexit, resource, sys; from asymbp_cli.__main__ import main\n"
        "def say(): print('torch' in sys.modules, resource.getrusage(resource.RUSAGE_SELF).ru_utime)\n"
        "atexit.register(say); main()"
    )
    asked = os.environ | {"PYTHONPATH": str(ROOT), VARIABLE: "bash_complete", "COMP_LINE": f"asymbp {line}"}
    done = subprocess.run([sys.executable, "-c", code], env=asked, capture_output=True, text=True, cwd=tmp_path)
    *completions, (has_torch, seconds) = [one.split() for one in done.stdout.splitlines()]
    assert len(completions) > 1
    assert done.stderr == ""
    assert has_torch == "False"
    assert float(seconds) < most  # of this process: other programs may be busy


def _command(folder: Path) -> dict[str, str]:
    """Put the command into a folder, and return an environment that finds it there first."""
    program = folder / "bin/asymbp"
    program.parent.mkdir()
    python, root = shlex.quote(sys.executable), shlex.quote(str(ROOT))
    program.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {python} -P -m asymbp_cli "$@"\n')
    program.chmod(0o755)
    return os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "TERM": "dumb"}


def _type(program: list[str], lines: list[str], expected: str, folder: Path) -> str:
    """Type lines into a program in a terminal until it shows what is expected; return the screen."""
    environment = _command(folder)
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvpe(program[0], program, environment)
    screen, end = "", time.monotonic() + 20
    os.write(terminal, "\n".join(lines).encode())
    while expected not in screen and time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            screen += os.read(terminal, 65536).decode(errors="replace").replace("\x07", "")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(terminal)
    return screen


@pytest.mark.skipif(shutil.which("bash") is None, reason="not run: bash is not installed")
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("asymbp reproduce --table=ak", "asymbp reproduce --table=akrout2019 "),
        ("asymbp train x --set protocol.gradient=m", "asymbp train x --set protocol.gradient=mean "),
        ("asymbp train my", "asymbp train my\\ recipe.yaml "),
    ],
)
def test_bash_completes_what_is_typed(typed: str, completed: str, tmp_path: Path) -> None:
    (tmp_path / "my recipe.yaml").touch()
    lines = ['eval "$(asymbp completion bash)"', f"{typed}\t"]
    assert completed in _type(["bash", "--norc", "--noprofile", "-i"], lines, completed, tmp_path)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="not run: zsh is not installed")
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("asymbp reproduce --table=ak\t", "asymbp reproduce --table=akrout2019 "),
        ("asymbp train x --set protocol.resi\tc\t", "asymbp train x --set protocol.resize=crop "),
    ],
)
def test_zsh_completes_what_is_typed(typed: str, completed: str, tmp_path: Path) -> None:
    lines = ["autoload -U compinit; compinit -u -D", 'eval "$(asymbp completion zsh)"', typed]
    assert completed in _type(["zsh", "-f", "-i"], lines, completed, tmp_path)


@pytest.mark.skipif(shutil.which("fish") is None, reason="not run: fish is not installed")
def test_fish_completes_what_is_typed(tmp_path: Path) -> None:
    ask = "asymbp completion fish | source; complete -C 'asymbp reproduce --table=ak'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", ask], env=_command(tmp_path), capture_output=True, text=True
    )
    assert "--table=akrout2019" in done.stdout
