"""Logs of a running study: what TensorBoard is told, by a writer that only notes it, and by the real one."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import small_study
from click.testing import CliRunner

from asymbp_cli.cli.app import cli
from asymbp_cli.cli.display import PlainLines
from asymbp_cli.cli.logs import load_logs, observe
from asymbp_cli.cli.logs.tensorboard import list_scalars
from asymbp_cli.cli.progress import StudyProgress
from asymbp_cli.errors import UsageError
from asymbp_cli.events import EpochEnded, Measured
from asymbp_cli.executors import StackStarted
from asymbp_cli.results.store import Store


class Writer:
    """Notes what it is told; after `most` numbers the disk is full."""

    made: list["Writer"] = []  # noqa: RUF012
    most = 10**6

    def __init__(self, directory: str, purge_step: int) -> None:
        self.directory, self.first, self.closed = Path(directory), purge_step, False
        self.scalars: dict[tuple[str, int], float] = {}
        Writer.made.append(self)

    def add_scalar(self, tag: str, value: float, epoch: int) -> None:
        if len(self.scalars) == Writer.most:
            raise OSError(28, "No space left on device")
        self.scalars[tag, epoch] = value

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> list[Writer]:
    """The writers that are made; the package of the real one need not be installed."""
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr(Writer, "made", [])
    return Writer.made


def make_display(*methods: str, **changes: Any) -> tuple[PlainLines, Any]:
    grid = small_study.grid(*methods, **changes)
    runs = grid.all_runs()
    return PlainLines(StudyProgress([grid], runs, dict.fromkeys(runs, 4), dict.fromkeys(runs, 1.0))), grid


def train(directory: Path, log: Path, *methods: str, **changes: Any) -> None:
    display, grid = make_display(*methods, **changes)
    with observe(display, load_logs([("tensorboard", log)])) as on_event:
        small_study.train(directory, grid, on_event=on_event)


def test_every_number_of_every_epoch_is_logged(writers: list[Writer], tmp_path: Path) -> None:
    train(tmp_path / "results", tmp_path / "logs", "SGD", multipliers=(1000.0, 1.0))
    with Store.open(tmp_path / "results", create=False) as store:
        stored = store.epochs(run.id for run in store.runs())
    assert len(writers) == len(stored) == 2
    assert all(writer.closed for writer in writers)
    for writer in writers:
        (run_id,) = [run_id for run_id in stored if writer.directory.name.endswith(run_id[:8])]
        for epoch in stored[run_id]:
            number = epoch.epoch
            assert writer.scalars["error-percent/test", number] == 100 * epoch.test_wrong / 360
            assert writer.scalars["error-percent/train", number] == 100 * epoch.train_wrong / 1437
            assert writer.scalars.get(("loss/test", number)) == (None if epoch.diverged else epoch.test_loss)
            assert writer.scalars.get(("angle/layer-2", number)) == epoch.measures.get("angle", {}).get(2)
            assert writer.scalars["rate", number] == epoch.rate
        assert {tag for tag, _ in writer.scalars} == {
            "error-percent/train",
            "error-percent/test",
            "loss/train",
            "loss/test",
            "rate",
            "angle/layer-2",
        }
    names = {writer.directory.name.rpartition("-")[0] for writer in writers}
    assert names == {"SGD-x1000-on-digits", "SGD-x1-on-digits"}
    assert {writer.directory.parent for writer in writers} == {tmp_path / "logs"}


def test_a_measure_of_a_plugin_has_no_hash() -> None:
    """Each run has a directory of its own, so that versions of a plugin share a chart."""
    measures: Measured = {f"distance@{'0' * 16}": {2: 0.5, 3: None}}
    epoch = EpochEnded("x", 1, 0.1, 0.5, 1, 2, 0.5, 1, 2, None, None, False, False, 1.0, None, measures)
    assert list(list_scalars(epoch))[-1] == ("distance/layer-2", 0.5)


def test_a_resumed_run_drops_what_is_trained_anew(writers: list[Writer], tmp_path: Path) -> None:
    display, grid = make_display("SGD", multipliers=(1.0,))
    (run_id,) = grid.all_runs()
    events: list[Any] = []
    small_study.train(tmp_path, grid, on_event=events.append)
    with observe(display, load_logs([("tensorboard", tmp_path)])) as on_event:
        on_event(StackStarted("s", (run_id,), 0))
        for event in events[:4]:
            on_event(event)
        on_event(StackStarted("s", (run_id,), 2))
        for event in events[4:]:
            on_event(event)
    assert [writer.first for writer in writers] == [1, 3]
    assert all(writer.closed for writer in writers)


def test_a_full_disk_ends_the_log_and_not_the_study(
    writers: list[Writer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Writer, "most", 7)
    train(tmp_path / "results", tmp_path / "logs", "SGD")
    with Store.open(tmp_path / "results", create=False) as store:
        assert {run.state for run in store.runs()} == {"finished"}
    said = [line for line in capsys.readouterr().err.splitlines() if "log" in line]
    assert said == [
        "a log is not written any more: No space left on device. Training continues, and results are stored"
    ]


def test_an_interruption_closes_the_files(writers: list[Writer], tmp_path: Path) -> None:
    display, grid = make_display("SGD", multipliers=(1.0,))
    events: list[Any] = []
    small_study.train(tmp_path, grid, on_event=events.append)

    def interrupt() -> None:
        with observe(display, load_logs([("tensorboard", tmp_path)])) as on_event:
            for event in events[:4]:
                on_event(event)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert [writer.closed for writer in writers] == [True]


def test_the_real_writer_takes_it(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="not run: tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tmp_path / "results", tmp_path / "logs", "SGD", multipliers=(1.0,))
    (folder,) = (tmp_path / "logs").iterdir()
    found = EventAccumulator(str(folder))
    found.Reload()
    assert [point.step for point in found.Scalars("error-percent/test")] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("tensorboard", r'"tensorboard" is no log\. Write NAME=DIR, for instance tensorboard=logs'),
        ("tensorboard=", r"is no log"),
        ("tensorbord=logs", r'there is no log "tensorbord".*Did you mean "tensorboard"'),
    ],
)
def test_an_option_that_is_none_is_a_message(option: str, message: str) -> None:
    done = CliRunner().invoke(cli, ["train", "--recipe", "x.yaml", "--log", option])
    assert done.exit_code == 2
    with pytest.raises(Exception, match=message):
        CliRunner().invoke(
            cli, ["train", "--recipe", "x.yaml", "--log", option], standalone_mode=False, catch_exceptions=False
        )


def test_what_is_missing_is_said_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r"pip install 'asymbp\[tensorboard\]', or leave --log out"):
        CliRunner().invoke(
            cli,
            ["reproduce", "--table", "2", "--log", f"tensorboard={tmp_path}", "--results", str(tmp_path / "r")],
            standalone_mode=False,
            catch_exceptions=False,
        )
    assert not (tmp_path / "r").exists()
