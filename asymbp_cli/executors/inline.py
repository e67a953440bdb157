"""Trains in this process, one stack after the other."""

import traceback
from collections import deque
from collections.abc import Generator, Iterator
from typing import cast

from asymbp_cli.errors import AsymbpError, ran_out_of_memory
from asymbp_cli.events import Event, RunFinished
from asymbp_cli.executors import Job, Report, StackFailed, Train, short, started
from asymbp_cli.executors.job import train as train_with_engine
from asymbp_cli.executors.retry import SMALLER, Fitting, continued
from asymbp_cli.machine import free_memory


class InlineExecutor:
    """An `Executor` without any process of its own.

    A stack that memory does not hold is halved and goes on from its last checkpoints; any other that fails is not
    tried again.
    """

    def __init__(self, train: Train = train_with_engine) -> None:
        self._train = train
        self._waiting: deque[Job] = deque()
        self._current: Iterator[Event] = iter(())
        self._fitting = Fitting()

    def submit(self, job: Job) -> None:
        """Queue a job."""
        self._waiting.append(job)

    def events(self) -> Iterator[Report]:
        """Yield what happens until every job is done or has failed."""
        while self._waiting:
            job, *later = self._fitting.pieces(self._waiting.popleft())
            self._waiting.extendleft(reversed(later))
            unfinished = {run.id: run for run in job.stack.runs}
            yield started(job)
            try:
                self._current = self._train(job)
                for report in self._current:
                    if isinstance(report, RunFinished):
                        del unfinished[report.run]
                    yield report
            except AsymbpError:
                raise
            except Exception as error:
                smaller = ran_out_of_memory(error) and self._fitting.too_large(job)
                remedy = SMALLER if smaller else None
                yield StackFailed(job.stack.id, tuple(unfinished), short(error), traceback.format_exc(), remedy)
                if remedy:
                    self._waiting.extendleft(reversed(continued(job, unfinished)))
            self._current = iter(())  # with what it holds in memory
            free_memory()

    def cancel(self) -> None:
        """Stop where the last event left the training."""
        self._waiting.clear()
        if isinstance(self._current, Generator):
            cast("Generator[Event]", self._current).close()
