"""The runs of a small grid, and epochs of them, for tests of stores."""

from dataclasses import replace

import small_study

from asymbp_cli.events import EpochEnded, Provenance
from asymbp_cli.specs.runs import Run

HERE = Provenance(
    host="here", device="cpu (a slow one)", software={"torch": "2"}, git="abc (changed)", semantics=1
)

RUNS = list(small_study.grid("SGD").all_runs().values())

RUN = RUNS[0]


def ended(run: Run = RUN, epoch: int = 1, wrong: int = 30, **other: object) -> EpochEnded:
    usual = EpochEnded(
        run=run.id, epoch=epoch, rate=0.005, train_loss=0.1, train_wrong=7, train_seen=1437, test_loss=0.2,
        test_wrong=wrong, test_seen=360, validation_wrong=None, validation_seen=None, one_class=False,
        diverged=False, seconds=1.5,
    )  # fmt: skip
    held_out = other.get("validation_seen", 0)
    return replace(usual, train_seen=1437 - held_out, **other)  # type: ignore[arg-type, operator]
