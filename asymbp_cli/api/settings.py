"""What `train` and `reproduce` are told besides what to train: with what, where to, and who listens."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asymbp_cli import study
from asymbp_cli.analysis.tables import fill_all
from asymbp_cli.api.arguments import read_execution, read_path, read_paths, read_shard
from asymbp_cli.api.asked import Asked
from asymbp_cli.api.load_plugins import load_plugins
from asymbp_cli.api.notices import explain_changed_plugins, explain_missing_weights
from asymbp_cli.api.wording import say_in_python, warn
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.executors import StudyEvent
from asymbp_cli.report.frames import Results, Table
from asymbp_cli.specs.modules import WhichWeights
from asymbp_cli.specs.shards import Shard
from asymbp_cli.study import Execution

#: told what is trained, as it happens (`asymbp_cli/events.py`, `asymbp_cli/executors/__init__.py`)
OnEvent = Callable[[StudyEvent], None]


@dataclass(frozen=True)
class Settings:
    """How a study is trained, with datasets of a source, into a results directory."""

    results: Path
    execution: Execution
    shard: Shard | None
    source: DataSource
    on_event: OnEvent | None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> "Settings":
        """Return the settings among the arguments of a call, whose plugins are loaded. Raises AsymbpError."""
        load_plugins(read_paths(given["plugins"], "plugins"))
        names = ("device", "workers", "executor", "attempts", "keep_weights")
        data, cache = (
            None if given[name] is None else read_path(given[name], name) for name in ("data_dir", "cache_dir")
        )
        return cls(
            results=read_path(given["results"], "results"),
            execution=read_execution(**{name: given[name] for name in names}),
            shard=read_shard(given["shard"]),
            source=DataSource(data, cache, given["download"], given["on_progress"]),
            on_event=given["on_event"],
        )

    def keep(self, which: WhichWeights | None) -> "Settings":
        """Return settings that keep these weights."""
        return replace(self, execution=replace(self.execution, keep_weights=which))

    def train(self, asked: Asked, command: str) -> Results:
        """Train what is missing of what is asked for, or of a shard of it, and return all tables."""
        part, execution = asked.take(self.shard), self.execution
        infos = {info.fingerprint: info for info in asked.infos}
        listen = self.on_event or (lambda event: None)
        with study.open_store(self.results, execution) as store:
            for message in explain_changed_plugins(study.plan_work(asked.grids, store, part).runs.values(), store):
                warn(message)
            outcome = study.run(asked.grids, infos, store, execution, on_event=listen, command=command, part=part)
            tables = fill_all(store, asked.grids)
            for message in explain_missing_weights(asked.grids, store, execution.keep_weights):
                warn(message)
        failed = {run_id: say_in_python(message) for run_id, message in outcome.failed.items()}
        return Results(tuple(map(Table, tables)), failed)
