"""Output that is closed, full or cannot show a letter stops no training and shows no traceback."""

import errno
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from asymbp_cli.cli.streams import TolerantStream, explain_loss, protect_streams

ROOT = Path(__file__).parent.parent.parent
RECIPE = """
title: "Ünï 🟦"
dataset: digits
method: [{method: SGD, label: "[/x]"}, {method: BM, label: "[red]A"}]
protocol: {extends: demo, epochs: 1, rate_multipliers: [1]}
"""


def shell(line: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which $A is the tool."""
    (directory / "mine.yaml").write_text(RECIPE, encoding="utf-8")
    variables = os.environ | {"PYTHONPATH": str(ROOT), "A": f"{sys.executable} -m asymbp_cli"} | environment
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=directory,
        capture_output=True,
        text=True,
        errors="replace",
        env=variables,
        timeout=300,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with results; tests may add files."""
    directory = tmp_path_factory.mktemp("trained")
    assert shell("$A train --recipe mine.yaml --quiet", directory).returncode == 0
    return directory


def stored(directory: Path) -> bool:
    return shell("$A ls runs | grep -c finished", directory).stdout.strip() == "2"


@pytest.mark.parametrize(
    "closed", ["2>&-", ">&-", "2>/dev/full", "--json | head -1 >/dev/null; exit ${PIPESTATUS[0]}"]
)
def test_a_training_outlives_its_output(closed: str, tmp_path: Path) -> None:
    done = shell(f"$A train --recipe mine.yaml {closed}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert stored(tmp_path)


CLOSED = "cannot write standard output: it is closed. Choose another file"
FULL = "cannot write standard output: No space left on device. Free some space, or choose another file"
has_full = pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="not run: there is no /dev/full here")


@pytest.mark.parametrize(
    ("command", "place", "said"),
    [
        ("store export -", ">&-", CLOSED),
        ("init -", ">&-", CLOSED),
        ("validate --resolved mine.yaml", ">&-", CLOSED),
        ("train --recipe mine.yaml --results new --dry-run", ">&-", CLOSED),
        ("--help", ">&-", CLOSED),
        pytest.param("store export -", ">/dev/full", FULL, marks=has_full),
        pytest.param("report --to csv", ">/dev/full", FULL, marks=has_full),
    ],
)
def test_a_result_that_was_not_written_is_said(command: str, place: str, said: str, trained: Path) -> None:
    done = shell(f"$A {command} {place}", trained)
    assert (done.returncode, done.stderr) == (2, f"asymbp: {said}\n")


def test_events_for_nobody_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    done = shell("$A train --recipe mine.yaml --json >&-", tmp_path)
    assert done.returncode == 2
    assert "--json is printed on standard output, which is closed. Add > FILE, or leave out --json" in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("command", ["bench --json", "bench paper", "plan --table 2 --json"])
def test_measurements_for_nobody_are_refused_before_they_are_made(command: str, tmp_path: Path) -> None:
    done = shell(f"ASYMBP_CACHE={tmp_path}/cache $A {command} >&-", tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()  # bench says before it begins that it measures
    assert re.fullmatch(r"asymbp: .+ printed on standard output, which is closed\. Add > FILE(, or .+)?", line)


def test_what_is_kept_elsewhere_is_done_though_its_output_is_closed(trained: Path, tmp_path: Path) -> None:
    done = shell(f"$A store merge results --results {tmp_path} >&-", trained)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "asymbp.sqlite").exists()


@has_full
def test_a_table_that_could_not_be_written_is_said(tmp_path: Path) -> None:
    done = shell("$A train --recipe mine.yaml > /dev/full", tmp_path)
    assert done.returncode == 1
    assert "standard output could not be written: No space left on device. Results are stored" in done.stderr
    assert stored(tmp_path)


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    done = shell("$A schema | head -1; exit ${PIPESTATUS[0]}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_letters_that_cannot_be_shown_and_markup_do_no_harm(encoding: str, trained: Path) -> None:
    done = shell("$A train --recipe mine.yaml --quiet", trained, PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert "[/x]" in done.stdout
    assert "[red]A" in done.stdout
    report = shell("$A report", trained, PYTHONIOENCODING=encoding)
    assert report.returncode == 0


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_what_programs_read_is_utf8_whatever_the_locale(encoding: str, trained: Path) -> None:
    (trained / "kanji.yaml").write_text(RECIPE.replace("[/x]", "\u6f22\u5b57"), encoding="utf-8")
    assert shell("$A train --recipe kanji.yaml --quiet --results kanji", trained).returncode == 0
    for kind in ("csv", "json", "html", "markdown"):
        line = f"$A report --results kanji --to {kind} > as-output"
        assert shell(line, trained, PYTHONIOENCODING=encoding).returncode == 0
        assert (trained / "as-output").read_text(encoding="utf-8").count("\u6f22\u5b57"), kind
    resolved = "$A validate --resolved kanji.yaml > resolved.yaml && $A validate resolved.yaml"
    assert shell(resolved, trained, PYTHONIOENCODING=encoding).stdout == "resolved.yaml: ok\n"
    assert "\u6f22\u5b57" in (trained / "resolved.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", ["0", "1", "nonsense"])
def test_a_width_that_is_none_does_not_hide_the_table(columns: str, trained: Path) -> None:
    done = shell("$A train --recipe mine.yaml --quiet", trained, COLUMNS=columns)
    assert "[/x]" in done.stdout


def test_a_report_goes_where_it_is_sent(trained: Path) -> None:
    (trained / "real.md").write_text("old")
    (trained / "link.md").symlink_to("real.md")
    assert shell("$A report --output link.md", trained).returncode == 0
    assert (trained / "link.md").is_symlink()
    assert (trained / "real.md").read_text(encoding="utf-8").startswith("# Ünï")
    through = shell("mkfifo pipe; cat pipe > copy.csv & $A report --to csv --output pipe; wait", trained)
    assert through.returncode == 0
    assert (trained / "copy.csv").read_text().startswith("table,dataset")
    assert "error_percent" in shell("$A report --to csv --output /dev/stdout | cat", trained).stdout


def test_standard_output_by_name_loses_nothing_of_its_file(trained: Path) -> None:
    (trained / "log").write_text("before\n")
    assert shell("$A report --to csv --output /dev/stdout >> log", trained).returncode == 0
    assert (trained / "log").read_text().startswith("before\ntable,dataset")


def test_there_are_no_figures_beside_a_pipe(trained: Path) -> None:
    two = "--results two"  # epochs, so that there is something to draw
    assert shell(f"$A train --recipe mine.yaml --set protocol.epochs=2 --quiet {two}", trained).returncode == 0
    assert shell(f"$A report {two} --output file.md", trained).returncode == 0
    assert list((trained / "file-figures").iterdir())
    assert shell(f"mkfifo tube; cat tube > copy.md & $A report {two} --output tube; wait", trained).returncode == 0
    assert (trained / "copy.md").read_text(encoding="utf-8").startswith("# Ünï")
    assert not (trained / "tube-figures").exists()


def test_file_names_steer_no_terminal(trained: Path) -> None:
    odd = "$'two\\nlines\\x1b[31m'"
    assert shell(f"cp mine.yaml {odd}.yaml; sed -i /title/d {odd}.yaml", trained).returncode == 0
    for line in (
        f"$A train --quiet --results odd --recipe {odd}.yaml",
        f"$A validate {odd}.yaml",
        "$A report --results odd",
        f"$A report --results odd --to csv --output {odd}.csv",
    ):
        done = shell(line, trained)
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        assert "two\nlines" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ('""', "--output needs the name of a file"),
        (
            "mine.yaml/x.csv",
            "cannot write mine.yaml/x.csv: a file has the name of its folder. Choose another file",
        ),
        ("$(printf 'x%.0s' {1..300})", "File name too long"),
        (".", "is a directory"),
    ],
)
def test_a_report_that_cannot_be_written_is_said(output: str, said: str, trained: Path) -> None:
    done = shell(f"$A report --to csv --output {output}", trained)
    assert done.returncode == 2
    assert said in done.stderr


class Full(io.StringIO):
    """A stream without room."""

    def __init__(self, number: int, descriptor: int) -> None:
        super().__init__()
        self._number, self._descriptor = number, descriptor

    def write(self, text: str) -> int:
        raise OSError(self._number, os.strerror(self._number))

    def fileno(self) -> int:
        return self._descriptor


def test_the_first_error_is_kept_and_a_broken_pipe_is_none(tmp_path: Path) -> None:
    with (tmp_path / "1").open("w") as one, (tmp_path / "2").open("w") as two:
        full, broken = (
            TolerantStream(Full(errno.ENOSPC, one.fileno())),
            TolerantStream(Full(errno.EPIPE, two.fileno())),
        )
        for stream in (full, broken):
            assert stream.write("text") == 4
            assert stream.write("more") == 4
            stream.flush()
    assert explain_loss(full) == "No space left on device"
    assert explain_loss(broken) is None
    assert explain_loss(TolerantStream(io.StringIO())) is None


def test_a_closed_input_is_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks whether there is a terminal, as `store prune` does, needs a stream."""
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.StringIO())
    monkeypatch.setattr(sys, "stdin", None)
    protect_streams()
    with sys.stdin as closed:
        assert not closed.isatty()
        assert closed.read() == ""
