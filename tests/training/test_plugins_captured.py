"""The functions of plugins are a part of steps: recorded they compute the same, and they read no value."""

import pytest
import torch
from plugin_examples import NOISE, OTHERS, Load
from small_trainers import IMAGES, make, train
from test_cuda_graphs import Tapes
from test_host_reads import counted

from asymbp_cli.training import engine

STACKS = [("wNoise", "wNoise+BM"), ("signKP+BN", "signKP+BN+BM"), ("uSF+Lion", "brSF+Lion"), ("absFA", "absFA+BM")]


@pytest.mark.parametrize("methods", STACKS, ids="/".join)
@pytest.mark.parametrize("together", [False, True])
def test_a_recorded_training_equals_a_plain_one(
    methods: tuple[str, ...], together: bool, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(NOISE)
    load(OTHERS, "others.py")
    plain = make(*methods, network=IMAGES, together=together)
    monkeypatch.setattr(engine, "make_graphs", lambda device, generators: Tapes())
    again = make(*methods, network=IMAGES, together=together)
    for trainer in (plain, again):
        for epoch in (1, 2, 3):
            list(trainer.train_epoch(epoch))
    assert again.step.captured.sizes
    assert torch.equal(plain.bank.weights, again.bank.weights)


@pytest.mark.parametrize("methods", STACKS, ids="/".join)
def test_no_value_is_read_inside_an_epoch(methods: tuple[str, ...], load: Load) -> None:
    load(NOISE)
    load(OTHERS, "others.py")
    trainer = train(make(*methods, network=IMAGES))
    trainer.bank.may_read = False  # as of a GPU
    with counted() as (reads, _):
        for index in trainer.batches(1):
            trainer.step(index)
    assert not reads


def test_a_read_in_a_function_is_counted(load: Load) -> None:
    load(NOISE.replace("return", "if W.max() > 100:\n        return 2 * W\n    return"))
    trainer = train(make("wNoise", network=IMAGES))
    trainer.bank.may_read = False
    with counted() as (reads, _):
        trainer.step(trainer.batches(1)[0])
    assert reads
