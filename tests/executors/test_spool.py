"""A worker's folder: what is written there comes out again, whole lines only, and damage is told."""

import math
from pathlib import Path

import pytest

from asymbp_cli.errors import AsymbpError, CaptureError, DataError, RecipeError
from asymbp_cli.events import EpochEnded, Progress, Provenance, RunDiverged, RunFinished, WorkerFound
from asymbp_cli.executors import Failure
from asymbp_cli.executors.remote.messages import Ended, FilesSent, Message
from asymbp_cli.executors.remote.spool import LINES, Inbox, Outbox, prepare

EPOCH = EpochEnded(
    run="a" * 16,
    epoch=3,
    rate=0.1 + 0.2,
    train_loss=math.nan,
    train_wrong=1,
    train_seen=2,
    test_loss=math.inf,
    test_wrong=3,
    test_seen=4,
    validation_wrong=None,
    validation_seen=5,
    one_class=True,
    diverged=False,
    seconds=1e-320,
    validation_loss=2.0,
    measures={"angle": {2: 1 / 3, 3: None}},
)
MESSAGES: tuple[Message, ...] = (
    WorkerFound(("a", "b"), Provenance("node", "cpu", {"torch": "2"}, None, 3, "AVX2")),
    Progress("stack", 1, 2, 3),
    EPOCH,
    RunDiverged("a", 1),
    FilesSent("checkpoints", 3, {"a": b"\x00\n\xff", "b": b""}),
    FilesSent("weights", 3, {"a": b"weights"}),
    RunFinished("a", "collapsed", 4),
    Ended(Failure("out", "trace\nback", out_of_memory=True, lost_worker=True, handed_back=True)),
    Ended(),
)


def send(folder: Path, *messages: Message) -> None:
    with Outbox(folder) as outbox:
        for message in messages:
            outbox.send(message)


def test_what_is_sent_is_read_to_the_bit(tmp_path: Path) -> None:
    send(tmp_path, *MESSAGES)
    assert repr(list(Inbox(tmp_path).read())) == repr(list(MESSAGES))  # NaN equals nothing


def test_errors_keep_their_class(tmp_path: Path) -> None:
    raised = (DataError("gone"), CaptureError("x"), RecipeError(["one", "two"]))
    send(tmp_path, *(Ended(error=error) for error in raised))
    found = [message.error for message in Inbox(tmp_path).read() if isinstance(message, Ended)]
    assert [type(error) for error in found] == [DataError, CaptureError, AsymbpError]
    assert [str(error) for error in found] == ["gone", "x", "one\ntwo"]


def test_only_new_and_complete_lines_are_read(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    for _ in range(2):
        assert not inbox.began
        assert list(inbox.read()) == []
        prepare(tmp_path)
    send(tmp_path, MESSAGES[0], MESSAGES[1])
    assert inbox.began
    assert list(inbox.read()) == list(MESSAGES[:2])
    path = tmp_path / LINES
    whole = path.read_bytes()
    send(tmp_path, MESSAGES[3])
    longer = path.read_bytes()
    for end in range(len(whole), len(longer)):
        path.write_bytes(longer[:end])
        assert list(inbox.read()) == []
    path.write_bytes(longer)
    assert list(inbox.read()) == [MESSAGES[3]]
    assert list(inbox.read()) == []


def test_a_message_whose_handling_was_interrupted_is_read_again(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    send(tmp_path, *MESSAGES[:2])
    for _ in inbox.read():
        break
    assert list(inbox.read()) == list(MESSAGES[:2])


def test_every_damaged_bit_is_told(tmp_path: Path) -> None:
    send(tmp_path, RunFinished("a", "finished", 4), Progress("s", 1, 1, 2))
    path = tmp_path / LINES
    whole = path.read_bytes()
    first = whole.index(b"\n")
    for position in range(first):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(bytes(damaged))
        with pytest.raises(ValueError, match=r"events\.jsonl"):
            list(Inbox(tmp_path).read())


def test_files_that_newer_ones_have_replaced_are_left_out(tmp_path: Path) -> None:
    first, second = (FilesSent("checkpoints", epoch, {"a": b"%d" % epoch, "b": b"b"}) for epoch in (1, 2))
    weights = FilesSent("weights", 1, {"a": b"w"})
    send(tmp_path, weights, first, second)
    assert list(Inbox(tmp_path).read()) == [weights, FilesSent("checkpoints", 1, {}), second]
    assert len(list((tmp_path / "files").iterdir())) == 3


def test_no_line_names_a_file_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a file that is none"):
        send(tmp_path, FilesSent("checkpoints", 1, {"../../x": b""}))
