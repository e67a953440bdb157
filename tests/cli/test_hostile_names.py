"""Names in results and files of others steer no terminal, turn no text around, and are no formulas."""

import csv
import io
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import small_study
from PIL import Image

from asymbp_cli.cli.app import main
from asymbp_cli.cli.console import make_console
from asymbp_cli.cli.streams import TolerantStream
from asymbp_cli.events import Provenance
from asymbp_cli.report.csv_records import _as_text
from asymbp_cli.report.renderers import RENDERERS
from asymbp_cli.results.store import Store
from asymbp_cli.text import printable

ODD = "".join(map(chr, (0x1B, 0x07, 0x08, 0x0D, 0x7F, 0x9B, 0x2028, 0x202E, 0x2066)))
EVIL = f"=cmd()\x1b]0;owned\x07 a{ODD}\n\tb"
GRID = small_study.grid("SGD", "uSF+BN", rows=(small_study.row(label=EVIL),)).model_copy(
    update={"title": EVIL, "protocol_label": EVIL}
)
INFO = small_study.INFO.model_copy(update={"label": EVIL, "note": EVIL, "classes": (EVIL, "b")})


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results whose every text is hostile, which no recipe can make."""
    directory = tmp_path_factory.mktemp("hostile") / "results"
    column = GRID.columns[1].model_copy(update={"header": EVIL, "note": EVIL})
    grid = GRID.model_copy(update={"columns": (GRID.columns[0], column)})
    small_study.train(directory, grid, infos={INFO.fingerprint: INFO}, command=EVIL)
    run = next(iter(grid.all_runs().values()))
    with Store.open(directory) as store, store.writing():
        store.begin([run], run.protocol.epochs, Provenance(EVIL, EVIL, {EVIL: EVIL}, EVIL, 1))
        store.fail([run.id], EVIL, EVIL)
    shutil.copytree(directory, directory.with_name("copy"))
    return directory


@pytest.fixture
def run(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run the tool on the hostile results, and return what reaches the terminal."""

    def call(*arguments: str) -> str:
        monkeypatch.chdir(tmp_path)
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, getattr(sys, name))  # which the tool replaces
        monkeypatch.setattr(sys, "argv", ["asymbp", *arguments])
        monkeypatch.setattr("asymbp_cli.cli.app.handle_interruptions", lambda: None)
        monkeypatch.setattr("asymbp_cli.cli.app.ignore_interruptions", lambda: None)
        with pytest.raises(SystemExit):
            main()
        monkeypatch.undo()
        return "".join(capsys.readouterr())

    return call


def harmless(text: str) -> bool:
    return printable(re.sub("[\n\t]", "", text))


@pytest.mark.parametrize("target", RENDERERS)
def test_reports(target: str, run: Callable[..., str], results: Path, tmp_path: Path) -> None:
    shown = run("report", "--to", target, "--results", str(results))
    run("report", "--to", target, "--results", str(results), "--output", str(tmp_path / "file"))
    written = (tmp_path / "file").read_text(encoding="utf-8")
    for text in (shown, written):
        assert "cmd()" in text
        assert harmless(text)
    for figure in (tmp_path / "file-figures").glob("*.svg"):
        ElementTree.parse(figure)
        assert harmless(figure.read_text(encoding="utf-8"))
    assert (target in ("markdown", "mlrc")) == bool(list(tmp_path.glob("file-figures/*.svg")))


def test_csv_has_no_formulas_and_its_numbers_are_numbers() -> None:
    """Numbers below zero have no apostrophe, and neither has text that only holds such a letter."""
    assert [_as_text(value) for value in (-0.1, None, "a-1", "brSF", "µ", "'")] == [
        -0.1,
        None,
        "a-1",
        "brSF",
        "µ",
        "'",
    ]
    for text in ("=1", "+1", "-x", "@SUM", " =1", "\t=1", "\uff1d1"):
        assert _as_text(text).startswith("'")


def test_names_in_csv_keep_to_their_cell(run: Callable[..., str], results: Path) -> None:
    shown = run("report", "--to", "csv", "--results", str(results))
    rows = list(csv.DictReader(io.StringIO(shown)))
    assert len(rows) == len(shown.splitlines()) - 1 == 2
    for row in rows:
        assert row["dataset"].startswith("'=cmd")
        assert float(row["error_percent"]) >= 0


def test_json_means_the_names_as_they_are(run: Callable[..., str], results: Path) -> None:
    content = json.loads(run("report", "--to", "json", "--results", str(results)))
    assert content["tables"][0]["title"] == EVIL


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls", "runs", "--results", "RESULTS"],
        ["show", "RUN", "--results", "RESULTS"],
        ["compare", "RESULTS", "COPY"],
        ["compare", "RESULTS", "COPY", "--json"],
        ["compare", EVIL, "quick", "--results", "RESULTS"],
        ["store", "check", "--results", "RESULTS"],
        ["store", "export", "all.xz", "--dataset", "x", "--results", "RESULTS"],
        ["store", "merge", "COPY", "--results", "RESULTS"],
        ["report", "--table", EVIL, "--output", EVIL, "--results", "RESULTS"],
        ["validate", f"{EVIL}.yaml"],
        ["train", "--recipe", "RECIPE"],
        ["data", "check", "IMAGES"],
        ["data", "show", "IMAGES"],
        [EVIL],
    ],
)
def test_commands(arguments: list[str], run: Callable[..., str], results: Path, tmp_path: Path) -> None:
    with Store.open(results) as store:
        failed = next(iter(store.failures()), store.runs()[0].id)
    (tmp_path / "mine.yaml").write_text(f"dataset: digits\ntitle: {json.dumps(EVIL)}\n? {json.dumps(EVIL)}\n: 1\n")
    for number, label in enumerate("aabb"):
        (tmp_path / "images" / label).mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), number).save(tmp_path / "images" / label / f"{number}.png")
    (tmp_path / "images" / "a" / f"x.{ODD}").write_text("")
    places = {
        "RESULTS": results,
        "COPY": results.with_name("copy"),
        "RUN": failed,
        "RECIPE": tmp_path / "mine.yaml",
        "IMAGES": tmp_path / "images",
    }
    text = run(*(str(places.get(argument, argument)) for argument in arguments))
    assert text.strip()
    assert harmless(text)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_terminal_is_steered_by_the_tool_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", TolerantStream(terminal))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    make_console(stderr=True).print(EVIL, style="bold")
    print(EVIL, file=sys.stderr)
    text = terminal.getvalue()
    assert "\x1b[1m" in text
    assert harmless(re.sub(r"\x1b\[[\d;]*m", "", text))
    assert text.count("cmd()") == 2
