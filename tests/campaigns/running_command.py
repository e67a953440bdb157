"""A command that trains, in processes that a campaign disturbs."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

_ENDING_SECONDS = 3.0  # in which the workers of a killed command end
_LONGEST_SECONDS = 300.0  # of a command; one that takes longer hangs
_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Command:
    """A running `asymbp train --json`, in a process group of its own; its output is collected meanwhile."""

    def __init__(self, arguments: list[str], directory: Path, environment: dict[str, str], **options: Any) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=directory,
            env=environment,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,
            **options,
        )
        self.events: list[dict[str, Any]] = []
        self.errors = ""
        self.faults: list[str] = []  # that who started it has found
        self._readers = [threading.Thread(target=read) for read in (self._read_events, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read_events(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.endswith(b"\n"):  # else its process was killed
                self.events.append(json.loads(line))

    def _read_errors(self) -> None:
        assert self.process.stderr
        self.errors = self.process.stderr.read().decode(errors="replace")

    @property
    def alive(self) -> bool:
        """Return whether the command runs."""
        return self.process.poll() is None

    def wait_for_seconds(self, seconds: float) -> bool:
        """Wait so long; return whether the command still runs."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.alive

    @property
    def trains(self) -> bool:
        """Return whether an epoch has ended."""
        return any(event["event"] == "EpochEnded" for event in list(self.events))

    def wait_for_epoch(self) -> bool:
        """Wait until an epoch has ended; return whether the command still runs."""
        last = time.monotonic() + _LONGEST_SECONDS
        while self.alive and not self.trains and time.monotonic() < last:
            time.sleep(0.005)
        return self.alive

    def expect(self, fact: object, fault: str) -> None:
        """Note a fault unless `fact` holds."""
        if not fact:
            self.faults.append(fault)

    def hears(self, number: signal.Signals) -> bool:
        """Return whether the command handles a signal already."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return False
        handled = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")), "0")
        return bool(int(handled, 16) >> (number - 1) & 1)

    def send(self, number: signal.Signals, *, group: bool) -> None:
        """Send a signal to the command, or to its whole group as a terminal does."""
        try:
            (os.killpg if group else os.kill)(self.process.pid, number)
        except ProcessLookupError:
            return

    def workers(self) -> list[int]:
        """Return the worker processes."""
        return [pid for pid, words in self._members() if b"spawn_main" in words and b"resource" not in words]

    def _members(self) -> Iterator[tuple[int, bytes]]:
        """Yield the living processes of the group, with their command lines."""
        for path in Path("/proc").glob("[0-9]*"):
            try:
                state, _, group = (path / "stat").read_text().rpartition(")")[2].split()[:3]
                if int(group) == self.process.pid and state != "Z":
                    yield int(path.name), (path / "cmdline").read_bytes()
            except OSError:  # it has ended
                continue

    def end(self) -> int:
        """Wait for the end of the command and its processes; return its exit code. One that hangs is killed."""
        try:
            self.process.wait(_LONGEST_SECONDS)
            last = time.monotonic() + _ENDING_SECONDS
            while any(self._members()) and time.monotonic() < last:
                time.sleep(0.01)
            if left := list(self._members()):
                self.faults.append(f"{left} outlive the command")
        except subprocess.TimeoutExpired:
            self.faults.append("the command hangs")
        self.send(signal.SIGKILL, group=True)
        for reader in self._readers:
            reader.join()
        with self.process:  # and close its pipes
            return self.process.wait()


def obey_interruptions() -> None:
    """Let a child hear signals that this process may ignore, as under `nohup` or in the background."""
    for number in _INTERRUPTIONS:
        signal.signal(number, signal.SIG_DFL)
