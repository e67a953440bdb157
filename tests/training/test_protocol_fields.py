"""Every field of the protocol changes a training, and what any mini-batches train is stored."""

from pathlib import Path

import pytest
from foreign_results import decode
from tiny_stacks import make

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.resident import load
from asymbp_cli.events import (
    EpochEnded,
)
from asymbp_cli.results.export import encode
from asymbp_cli.results.provenance import collect
from asymbp_cli.results.store import Store
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Stack
from asymbp_cli.training.engine import train_stack

OTHER_VALUES: dict[str, object] = {
    "epochs": 4,
    "phases": [{"share": 1, "factor": 1}, {"share": 1, "factor": 0.5}],
    "base_rate": 1e-3,
    "batch_size": 50,
    "momentum": 0.5,
    "weight_decay": 0.1,
    "gradient": "mean",
    "zero_sign": 1,
    "decay_biases": False,
    "manhattan_biases": False,
    "decay_batch_norm": False,
    "momentum_at_change": "reset",
    "initialization": "he-normal",
    "initial_std": 0.05,
    "biases": "all",
    "batch_norm_epsilon": 0.1,
    "batch_norm_average": 0.5,
    "batch_norm_batches": 2,
    "batch_norm_short_epochs": "cycle",
    "average_pool_border": "padded",
    "order": "fixed",
    "last_batch": "drop",
    "precision": "bf16",
    "loss": "sigmoid-cross-entropy",
    "bias_gradient": 0.5,
    "gradient_clip": 0.1,
    "nesterov": True,
    "crop_padding": 1,
    "horizontal_flip": True,
    "adam_beta2": 0.9,
    "adam_epsilon": 0.1,
    "initial_biases": "as-weights",
    "preprocessing": "mean-pixel",
    "validation_fraction": 0.2,
}

NEEDED: dict[str, dict[str, object]] = {  # without which the field has nothing to change
    "initial_std": {"initialization": "normal"},
    "decay_batch_norm": {"weight_decay": 0.1},
    "decay_biases": {"weight_decay": 0.1},
    "batch_norm_short_epochs": {"batch_size": 100},  # 15 mini-batches
}

METHOD_FOR = {
    "decay_batch_norm": "BN",
    "zero_sign": "BM",
    "gradient": "uSF+BN",
    "bias_gradient": "uSF",
    "gradient_clip": "uSF",
    "nesterov": "uSF",
    "adam_beta2": "uSF+Adam",
    "adam_epsilon": "uSF+Adam",
}  # signs know no mean

RATE_FOR = {"zero_sign": 30.0}  # so large that units die: their gradients are exactly 0

#: one of the multipliers is the run's own; what is decoded is the reader's; measures change nothing
NOT_TRAINING = {"rate_multipliers", "resize", "measure"}


def test_every_field_of_the_protocol_is_tried_below() -> None:
    assert {*OTHER_VALUES, *NOT_TRAINING} == set(Protocol.model_fields)


@pytest.mark.parametrize("field", OTHER_VALUES)
def test_every_field_of_the_protocol_changes_the_training(field: str, digits_info: DecodedDataset) -> None:
    """A choice that the paper leaves open and that a recipe can set is one that the engine makes."""
    layers = ("Conv 3x3x4/1 pad 1", "Avg 3x3/2 pad_end 1", "FC 12", "FC classes")
    network = Network(input=(8, 8, 1), layers=layers).resolve(10)
    found = []
    for changes in ({}, {field: OTHER_VALUES[field]}):
        content = {"epochs": 3, "batch_size": 64} | NEEDED.get(field, {}) | changes
        protocol = Protocol.model_validate(content)
        run = make(load(digits_info), METHOD_FOR.get(field, "uSF+BN+BM"), RATE_FOR.get(field, 0.1))
        run = run.model_copy(update={"protocol": protocol, "network": network})
        data = load(
            digits_info,
            preprocessing=protocol.preprocessing,
            validation_fraction=protocol.validation_fraction,
        )
        events = list(train_stack(Stack((run,)), data))
        found.append([(e.test_loss, e.train_loss) for e in events if isinstance(e, EpochEnded)])
    assert found[0] != found[1]


@pytest.mark.parametrize("last_batch", ["keep", "drop"])
@pytest.mark.parametrize("fraction", [0.0, 0.2])
@pytest.mark.parametrize("size", [100, 5000, [{"from_epoch": 1, "size": 100}, {"from_epoch": 2, "size": 300}]])
def test_what_any_batches_train_is_stored_read_and_exported(
    last_batch: str, fraction: float, size: object, digits_info: DecodedDataset, tmp_path: Path
) -> None:
    """The samples of an epoch are checked whenever it is read."""
    content = {"epochs": 2, "batch_size": size, "last_batch": last_batch, "validation_fraction": fraction}
    protocol = Protocol.model_validate(content)
    data = load(digits_info, validation_fraction=fraction)
    run = make(data, "SGD", 0.1).model_copy(update={"protocol": protocol, "dataset": digits_info.fingerprint})
    events = list(train_stack(Stack((run,)), data))
    with Store.open(tmp_path) as store:
        with store.writing():
            store.save_dataset(digits_info)
            store.begin([run], 0, collect("cpu"))
            for event in events:
                store.record(event)
        assert [point.epoch for point in store.epochs([run.id])[run.id]] == [1, 2]
        assert list(decode(encode(store.contents()), tmp_path).runs) == [run.id]
        seen = {point.train_seen for point in store.epochs([run.id])[run.id]}
    count = len(data.train.y)
    assert (seen == {count}) == (last_batch == "keep" or size == 5000)
    assert {protocol.trained_samples(epoch, count) for epoch in (1, 2)} == seen
