"""Which values make two runs the same run, and which runs share a stack."""

import copy
import hashlib
import json
from functools import reduce
from operator import getitem
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.specs import runs
from asymbp_cli.specs.feedback import Feedback
from asymbp_cli.specs.methods import Method, parse_method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import BatchSize, Phase, Protocol
from asymbp_cli.specs.runs import Run, Stack


def run(**changes: Any) -> Run:
    values = {
        "dataset": "f" * 64,
        "network": NETWORKS["digits"].resolve(10),
        "method": parse_method("brSF-25%+BN+BM"),
        "protocol": Protocol(),
        "rate_multiplier": 1.0,
        "seed": 0,
    }
    return Run.model_validate(values | changes)


#: every field of a protocol with another value than its default; a new field must be added here
OTHER: dict[str, Any] = {
    "measure": ("rank",),
    "loss": "sigmoid-cross-entropy",
    "bias_gradient": 0.5,
    "initial_biases": "as-weights",
    "gradient_clip": 1.0,
    "nesterov": True,
    "crop_padding": 4,
    "horizontal_flip": True,
    "adam_beta2": 0.99,
    "adam_epsilon": 1e-6,
    "epochs": 3,
    "phases": (Phase(share=1, factor=1),),
    "base_rate": 1e-3,
    "batch_size": 50,
    "momentum": 0.5,
    "weight_decay": 0.0,
    "gradient": "mean",
    "zero_sign": 1,
    "decay_biases": False,
    "manhattan_biases": False,
    "decay_batch_norm": False,
    "momentum_at_change": "reset",
    "initialization": "normal",
    "initial_std": 0.05,
    "biases": "all",
    "batch_norm_epsilon": 1e-4,
    "batch_norm_average": 0.1,
    "batch_norm_batches": 10,
    "batch_norm_short_epochs": "cycle",
    "average_pool_border": "padded",
    "order": "fixed",
    "last_batch": "drop",
    "precision": "bf16",
    "preprocessing": "none",
    "resize": "crop",
    "validation_fraction": 0.1,
}


def test_every_field_but_the_list_of_multipliers_is_part_of_the_identity() -> None:
    assert set(OTHER) | {"rate_multipliers"} == set(Protocol.model_fields)
    others = [run(protocol=Protocol(**{field: value})) for field, value in OTHER.items()]
    assert len({run().id, *(other.id for other in others)}) == 1 + len(OTHER)
    assert run(protocol=Protocol(rate_multipliers=(1.0,))).id == run().id
    assert run().id == "7001594e6027e448"  # as it was before there was a choice of precision


def test_whatever_else_decides_the_numbers_is_part_of_the_identity() -> None:
    methods = [
        Method(feedback=Feedback(scheme="brsf", flip_probability=0.5), batch_norm="plain", update="bm1"),
        Method(feedback=Feedback(scheme="frsf", flip_probability=0.25), batch_norm="plain", update="bm1"),
        parse_method("brSF-25%+BM"),
        parse_method("brSF-25%+BN+BM2"),
        parse_method("brSF-25%+BN+BM Top"),
    ]
    others = [
        *(run(method=method) for method in methods),
        run(dataset="e" * 64),
        run(network=NETWORKS["digits"].resolve(9)),
        run(network=Network(input=(8, 8, 1), layers=("FC 10",))),
        run(rate_multiplier=10.0),
        run(seed=1),
    ]
    assert len({run().id, *(other.id for other in others)}) == 1 + len(others)


def test_whole_numbers_are_numbers_and_the_same_number() -> None:
    assert Protocol.model_validate({"base_rate": 1}) == Protocol(base_rate=1.0)
    assert run(protocol=Protocol.model_validate({"base_rate": 1})).id == run(protocol=Protocol(base_rate=1.0)).id


def test_names_are_no_part_of_the_identity() -> None:
    """Two spellings of a method or a network are the same run, whatever a table calls its column."""
    assert run(method=parse_method("BM")).id == run(method=parse_method("BM1")).id
    spelled = {"scheme": "brsf", "flip_probability": 0.25}
    method = Method.model_validate({"feedback": spelled, "batch_norm": "plain", "update": "bm1"})
    assert run(method=method).id == run().id
    loose = Network(input=(8, 8, 1), layers=("conv  3x3x16/1 pad 1 groups 1", "fc CLASSES")).resolve(10)
    strict = Network(input=(8, 8, 1), layers=("Conv 3x3x16/1 pad 1", "FC 10")).resolve(10)
    assert run(network=loose).id == run(network=strict).id


def test_what_a_run_means_can_change(monkeypatch: pytest.MonkeyPatch) -> None:
    before = run().id
    assert len(before) == 16
    monkeypatch.setattr(runs, "SEMANTICS", runs.SEMANTICS + 1)
    assert run().id != before


def test_a_run_survives_json() -> None:
    growing = Protocol(batch_size=(BatchSize(from_epoch=1, size=100), BatchSize(from_epoch=4, size=500)))
    for original in (run(), run(protocol=growing)):
        again = Run.model_validate_json(original.model_dump_json())
        assert again == original
        assert again.id == original.id


def test_stacks_share_what_the_batches_and_the_network_depend_on() -> None:
    together = [run(method=parse_method(name)) for name in ("uSF+BN", "brSF+BN+BM", "RndF+BN+BM3")]
    together += [run(rate_multiplier=10.0), run(protocol=Protocol(rate_multipliers=(1.0,)))]
    assert {other.stack_key for other in together} == {run().stack_key}
    apart = [run(method=parse_method(name)) for name in ("uSF", "BN", "uSF+BN Top")]
    apart += [run(seed=1), run(dataset="e" * 64), run(protocol=Protocol(batch_size=50))]
    assert len({run().stack_key, *(other.stack_key for other in apart)}) == 1 + len(apart)
    assert Stack((run(),)).id == Stack((run(),), start_epoch=3).id != Stack((run(seed=1),)).id


def test_a_younger_field_is_part_of_an_identity_only_at_other_values(monkeypatch: pytest.MonkeyPatch) -> None:
    def ids() -> list[str]:
        methods = [Method(feedback=Feedback(scheme="rndf", sigma=sigma)) for sigma in (0.05, 0.1)]
        return [run(method=method).id for method in methods]

    default, other = ids()
    with monkeypatch.context() as patch:
        patch.setattr(runs, "_write_part", runs._write_part.__wrapped__)  # which remembers what it wrote
        patch.setitem(runs.ADDED_LATER, ("method", "feedback", "sigma"), 0.05)  # as if it were younger
        younger_default, younger_other = ids()
    assert younger_other == other
    assert len({default, other, younger_default}) == 3


def test_a_copy_with_other_fields_has_an_id_of_its_own() -> None:
    first = run()
    assert first.id == run().id
    for changes in ({"seed": 1}, {"rate_multiplier": 0.5}, {"method": parse_method("uSF")}):
        assert first.model_copy(update=changes).id == run(**changes).id != first.id
    assert first.model_copy(deep=True).id == copy.deepcopy(first).id == first.id


@given(
    st.sampled_from(["SGD", "uSF+BN+BM", "RndF Top", "frSF-25%+BN"]), st.integers(0, 2**70), st.floats(1e-9, 1e9)
)
def test_an_id_is_the_sum_of_the_canonical_json(name: str, seed: int, multiplier: float) -> None:
    """As it was written at first: of everything at once, without what is younger and at its first value."""
    found = run(method=parse_method(name), seed=seed, rate_multiplier=multiplier)
    content = found.model_dump(mode="json")
    content["protocol"].pop("rate_multipliers")
    for *place, field in runs.younger_paths(content):
        reduce(getitem, place, content).pop(field)
    content["semantics"] = runs.SEMANTICS
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert found.id == hashlib.sha256(text.encode()).hexdigest()[:16]
