"""Messages of a worker in a folder that the driver sees: lines of JSON with checksums, and files next to them.

The worker appends, the driver reads: neither waits for the other, and what a dead one wrote is still there.
Nothing here is unpickled.
"""

import json
import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

from pydantic import TypeAdapter

from asymbp_cli import errors
from asymbp_cli.errors import AsymbpError
from asymbp_cli.events import CheckpointDue, CheckpointSaved, EpochEnded, EpochKept, Event
from asymbp_cli.executors import Failure
from asymbp_cli.executors.remote.messages import Ended, FileKind, FilesSent, Message
from asymbp_cli.files.patience import patiently
from asymbp_cli.files.whole import replace

LINES = "events.jsonl"
_LONGEST = 1 << 24  # characters of a line; the longest are tracebacks
_KINDS = {
    kind.__name__: TypeAdapter(kind)
    for kind in get_args(Event)
    if kind not in (CheckpointDue, CheckpointSaved, EpochKept)  # which no worker sends
}
_FAILURE = TypeAdapter(Failure)


def prepare(folder: Path) -> None:
    """Make the file that a worker appends to: a network file system shows new lines sooner than new files."""
    patiently((folder / LINES).touch)


class Outbox:
    """The worker's end of a folder, which exists."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = patiently(lambda: (folder / LINES).open("ab"))

    def send(self, message: Message) -> None:
        """Append a message. Its files are written whole before, and everything before it is on disk.

        Raises OSError.
        """
        if isinstance(message, FilesSent):
            self._file.flush()
            os.fsync(self._file.fileno())
            for run_id, content in message.files.items():
                path = _file_path(self._folder, message.kind, run_id, message.epoch)
                _write(path, content)
        self._file.write(encode(message))
        self._file.flush()
        if isinstance(message, FilesSent):
            self._forget_earlier(message)

    def _forget_earlier(self, sent: FilesSent) -> None:
        """Delete the files that newer ones replace."""
        for run_id in sent.files:
            newest = _file_path(self._folder, sent.kind, run_id, sent.epoch)
            for path in newest.parent.glob(f"{run_id}-{sent.kind}-*"):
                if path != newest:
                    with suppress(OSError):
                        path.unlink()

    def __enter__(self) -> "Outbox":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


class Inbox:
    """The driver's end of a folder. A message counts as read once the next one is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read = 0  # bytes

    @property
    def began(self) -> bool:
        """Return whether the worker has sent anything. Raises OSError."""
        with suppress(FileNotFoundError):
            return patiently((self._folder / LINES).stat).st_size > 0
        return False

    def read(self) -> Iterator[Message]:
        """Yield the new messages that are complete. Raises ValueError if one is damaged, OSError."""
        for line in self._read_lines():
            yield decode(line, self._folder)

    def _read_lines(self) -> Iterator[bytes]:
        try:
            with (self._folder / LINES).open("rb") as file:  # anew: a network file system shows its new end then
                file.seek(self._read)
                while (line := file.readline(_LONGEST)).endswith(b"\n"):
                    yield line
                    self._read += len(line)
        except FileNotFoundError:
            return

    def last_epochs(self) -> dict[str, int]:
        """Return the last epoch of each run among the new messages, up to one that is damaged. Raises OSError."""
        found: dict[str, int] = {}

        def read() -> None:  # goes on at the line that could not be read
            for line in self._read_lines():
                name, content = _parse(line, self._folder)
                if name == EpochEnded.__name__:
                    event = _KINDS[name].validate_python(content)
                    found[event.run] = event.epoch

        with suppress(ValueError):
            patiently(read)
        return found


def encode(message: Message) -> bytes:
    """Return a message as a line: a checksum, and JSON without the content of files."""
    match message:
        case FilesSent():
            content: dict[str, Any] = {"kind": message.kind, "epoch": message.epoch, "runs": list(message.files)}
        case Ended():
            error = message.error and [type(message.error).__name__, str(message.error)]
            content = {"failure": message.failure and asdict(message.failure), "error": error}
        case _:
            content = asdict(message)
    text = json.dumps([type(message).__name__, content]).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def decode(line: bytes, folder: Path) -> Message:
    """Return the message in a line, with the files that are still there.

    Raises ValueError if it is damaged, OSError if a file cannot be read.
    """
    name, content = _parse(line, folder)
    try:
        if name == FilesSent.__name__:
            return _read_files(folder, content["kind"], content["epoch"], content["runs"])
        if name == Ended.__name__:
            failure, error = content["failure"], content["error"]
            return Ended(failure and _FAILURE.validate_python(failure), error and _make_error(*error))
        found: Event = _KINDS[name].validate_python(content)
        return found
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a line of {folder / LINES} means nothing: {error}") from error


def _parse(line: bytes, folder: Path) -> tuple[str, dict[str, Any]]:
    """Return the name and the content of the message in a line. Raises ValueError if it is damaged."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        raise ValueError(f"a line of {folder / LINES} is damaged")
    match json.loads(text):
        case [str(name), dict(content)]:
            return name, content
    raise ValueError(f"a line of {folder / LINES} means nothing")


def _read_files(folder: Path, kind: FileKind, epoch: int, runs: list[str]) -> FilesSent:
    """Return files as they were sent, without those that newer ones have replaced."""
    if kind not in get_args(FileKind):
        raise ValueError(f"a line of {folder / LINES} names files of another kind")
    files = {}
    for run_id in runs:
        with suppress(FileNotFoundError):
            files[run_id] = _file_path(folder, kind, run_id, epoch).read_bytes()
    return FilesSent(kind, epoch, files)


def _write(path: Path, content: bytes) -> None:
    patiently(partial(path.parent.mkdir, exist_ok=True))
    patiently(partial(replace, path, content, durable=True))


def _file_path(folder: Path, kind: FileKind, run_id: str, epoch: int) -> Path:
    if not run_id.isalnum():
        raise ValueError(f"a line of {folder / LINES} names a file that is none")
    return folder / "files" / f"{run_id}-{kind}-{epoch}.safetensors"


def _make_error(name: str, text: str) -> AsymbpError:
    """Return an error that the user can mend, of its own class if that is made of a text alone."""
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, AsymbpError) and kind is not errors.RecipeError:
        return kind(text)
    return AsymbpError(text)
