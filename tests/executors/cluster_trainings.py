"""Trainings for jobs of a cluster; `CLUSTER_MARKS` is a directory in which they leave what outlives them."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import fake_engine

from asymbp_cli.events import EpochEnded, Event
from asymbp_cli.executors import Job


def marks() -> Path:
    return Path(os.environ["CLUSTER_MARKS"])


def train(job: Job) -> Iterator[Event]:
    """Train with the fake engine, and leave the pid of the worker."""
    (marks() / f"pid-{os.getpid()}").touch()
    yield from fake_engine.train(job)


def killed_once(job: Job) -> Iterator[Event]:
    """Like `train`, but the first worker that has ended epoch 3 of a stack is killed a moment later."""
    mark = marks() / f"killed-{job.stack.runs[0].id}"
    for event in train(job):
        yield event
        if isinstance(event, EpochEnded) and event.epoch == 3 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def mute(job: Job) -> Iterator[Event]:
    """Wait for long, without a word."""
    (marks() / f"pid-{os.getpid()}").touch()
    time.sleep(60)
    yield from train(job)
