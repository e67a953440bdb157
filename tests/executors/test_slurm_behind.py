"""Jobs of a killed study that are behind what another executor has trained meanwhile."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import small_study
from fake_cluster import GRID, FakeCluster, check, killed, train
from fake_cluster import _quick as _quick

from asymbp_cli.errors import StudyInterrupted
from asymbp_cli.events import EpochEnded
from asymbp_cli.executors import StackStarted, StudyEvent, Train
from asymbp_cli.executors.remote import worker
from asymbp_cli.executors.remote.messages import FilesSent
from asymbp_cli.executors.remote.spool import Inbox, Outbox, encode
from asymbp_cli.executors.slurm import folders


class Silent(FakeCluster):
    """Its first job breaks off in epoch 3, and has sent no checkpoint."""

    def _run(self, place: Path, train: Train) -> str:
        if self.count:
            return super()._run(place, train)
        self.count += 1
        with Outbox(place) as outbox:
            for message in worker.train(folders.read_package(place), self.scratch / "1", dict, train=train):
                if not isinstance(message, FilesSent):
                    outbox.send(message)
                if isinstance(message, EpochEnded) and message.epoch == 3:
                    break
        return "1"


def train_here(directory: Path, last: int) -> None:
    """Go on in this process, and be interrupted after an epoch, whose checkpoint stays."""

    def interrupt(event: StudyEvent) -> None:
        if isinstance(event, EpochEnded) and event.epoch == last:
            raise KeyboardInterrupt

    with pytest.raises(StudyInterrupted):
        small_study.train(directory / "results", GRID, checkpoint_seconds=0.0, on_event=interrupt)


def starts(events: Sequence[StudyEvent]) -> list[int]:
    return [event.start_epoch for event in events if isinstance(event, StackStarted)]


@pytest.mark.parametrize("has_died", [True, False])
def test_a_job_that_is_behind_the_checkpoints_here_is_not_taken_over(tmp_path: Path, has_died: bool) -> None:
    fake = Silent(tmp_path / "scratch")
    killed(tmp_path, fake, 2)
    fake.states = {"1": "FAILED"} if has_died else {}
    train_here(tmp_path, 5)  # it keeps epoch 4
    events = train(tmp_path, fake)
    assert starts(events) == [4]
    assert "1" in fake.cancelled
    check(tmp_path)


def test_a_job_that_is_ahead_of_the_checkpoints_here_is_taken_over(tmp_path: Path) -> None:
    fake = FakeCluster(tmp_path / "scratch")
    killed(tmp_path, fake, 2)
    train_here(tmp_path, 4)
    assert starts(train(tmp_path, fake)) == [3]  # the checkpoint here: what came before is stored
    assert fake.count == 1
    check(tmp_path)


def test_a_job_that_began_at_a_checkpoint_which_is_gone_is_not_taken_over(tmp_path: Path) -> None:
    fake = FakeCluster(tmp_path / "scratch", "FAILED", 1)

    def watch(event: StudyEvent) -> None:
        if isinstance(event, EpochEnded) and event.epoch == 4:
            raise MemoryError  # stands for SIGKILL, of the driver of a job that began after epoch 2

    with suppress(MemoryError):
        train(tmp_path, fake, on_event=watch)
    small_study.change(tmp_path / "results", "DELETE FROM epochs", take_checksums=True)
    assert starts(train(tmp_path, fake)) == [0]
    check(tmp_path)


def test_epochs_after_a_damaged_line_do_not_count(tmp_path: Path) -> None:
    def line(epoch: int) -> bytes:
        return encode(EpochEnded("ab", epoch, 0.1, 1.0, 1, 9, 1.0, 1, 9, None, None, False, False, 1.0))

    assert Inbox(tmp_path).last_epochs() == {}
    (tmp_path / "events.jsonl").write_bytes(line(1) + line(2) + b"damage\n" + line(3))
    assert Inbox(tmp_path).last_epochs() == {"ab": 2}
