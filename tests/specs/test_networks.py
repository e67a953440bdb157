"""Table 1: shapes and counts worked out by hand from the paper, and what notation is refused."""

from itertools import pairwise

import pytest

from asymbp_cli.errors import NetworkError, UsageError
from asymbp_cli.recipe.networks import NETWORKS, find_network
from asymbp_cli.specs.layers import FC, Conv, Pool, parse_layer
from asymbp_cli.specs.networks import Network, Normalize, Pooling, Weighted

#: name, classes -> shapes after every layer (Table 1, section 5)
SHAPES = {
    ("mnist", 10): ["28x28x1", "24x24x20", "12x12x20", "8x8x50", "4x4x50", "500", "10"],
    ("cifar", 10): ["32x32x3", "32x32x32", "16x16x32", "16x16x64", "8x8x64", "8x8x64", "4x4x64", "128", "10"],
    ("svhn", 10): ["32x32x3", "28x28x20", "14x14x20", "8x8x512", "4x4x512", "40", "10"],
    ("large", 102): ["119x119x3", "56x56x48", "28x28x48", "24x24x128", "12x12x128", "306", "204", "102"],
    ("large", 17): ["119x119x3", "56x56x48", "28x28x48", "24x24x128", "12x12x128", "256", "34", "17"],
    ("timit", 80): ["1845", "512", "256", "80"],
    ("digits", 10): ["8x8x1", "8x8x16", "4x4x16", "4x4x32", "2x2x32", "64", "10"],
}
#: name, classes -> weights and biases of every layer that has them
COUNTS = {
    ("mnist", 10): [(500, 20), (25_000, 50), (400_000, 500), (5_000, 10)],
    ("cifar", 10): [(2_400, 32), (51_200, 64), (102_400, 64), (131_072, 128), (1_280, 10)],
    ("cifar", 100): [(2_400, 32), (51_200, 64), (102_400, 64), (131_072, 128), (12_800, 100)],
    ("svhn", 10): [(1_500, 20), (501_760, 512), (327_680, 40), (400, 10)],
    ("large", 102): [(11_664, 48), (153_600, 128), (5_640_192, 306), (62_424, 204), (20_808, 102)],
    ("timit", 80): [(944_640, 512), (131_072, 256), (20_480, 80)],
    ("digits", 10): [(144, 16), (4_608, 32), (8_192, 64), (640, 10)],
}
TOTALS = {"mnist": 431_080, "svhn": 831_922, "timit": 1_097_040, "digits": 13_706}


#: the rows of Table 1 without padding, which section 5 describes in words
NOTATION = {
    "mnist": "Conv 5x5x20/1, Max 2x2/2, Conv 5x5x50/1, Max 2x2/2, FC 500, FC 10",
    "cifar": "Conv 5x5x32/1, Max 3x3/2, Conv 5x5x64/1, Avg 3x3/2, Conv 5x5x64/1, Avg 3x3/2, FC 128, FC 10",
    "svhn": "Conv 5x5x20/1, Max 2x2/2, Conv 7x7x512/1, Max 2x2/2, FC 40, FC 10",
    "large": "Conv 9x9x48/2, Max 2x2/2, Conv 5x5x128/1, Max 2x2/2, FC 256, FC 20, FC 10",
    "timit": "FC 512, FC 256, FC 10",
}


@pytest.mark.parametrize("name", NOTATION)
def test_layers_of_table_1(name: str) -> None:
    layers = ", ".join(NETWORKS[name].resolve(10).layers)
    assert layers.replace(" pad 2", "").replace(" pad_end 1", "") == NOTATION[name]
    assert (layers.count(" pad 2"), layers.count(" pad_end 1")) == ((3, 3) if name == "cifar" else (0, 0))


@pytest.mark.parametrize(("name", "classes"), SHAPES)
def test_shapes_of_table_1(name: str, classes: int) -> None:
    shapes = NETWORKS[name].resolve(classes).shapes()
    assert ["x".join(map(str, shape)) for shape in shapes] == SHAPES[name, classes]


@pytest.mark.parametrize(("name", "classes"), COUNTS)
def test_parameter_counts_of_table_1(name: str, classes: int) -> None:
    network, wanted = NETWORKS[name].resolve(classes), COUNTS[name, classes]
    assert network.parameter_count(biases=False) == sum(weights for weights, _ in wanted)
    assert network.parameter_count() == sum(weights + biases for weights, biases in wanted)
    assert [operation.weight_shape[0] for operation in network.weighted()] == [biases for _, biases in wanted]


def test_totals() -> None:
    for name, total in TOTALS.items():
        assert NETWORKS[name].resolve(80 if name == "timit" else 10).parameter_count() == total


def test_flop_worked_by_hand() -> None:
    """4x4x1 -> Conv 3x3x2/1 (4 positions, 18 weights) -> FC 3 (24 weights); 2 flop each; 3 passes, or 2."""
    network = Network(input=(4, 4, 1), layers=("Conv 3x3x2/1", "FC classes")).resolve(3)
    assert network.flop_per_sample() == 2 * (2 * 4 * 18) + 3 * (2 * 24)


def test_pooling_and_flattening_cost_nothing() -> None:
    plain = Network(input=(4, 4, 2), layers=("FC 5", "FC classes")).resolve(3)
    pooled = Network(input=(8, 8, 2), layers=("Max 2x2/2", "FC 5", "FC classes")).resolve(3)
    assert plain.flop_per_sample() == pooled.flop_per_sample()


def test_every_network_resolves_and_resolving_twice_changes_nothing() -> None:
    assert set(NETWORKS) >= {"large", "mnist", "cifar", "svhn", "timit", "digits"}
    for name, network in NETWORKS.items():
        for classes in (2, 10, 102):
            resolved = network.resolve(classes)
            assert resolved.resolve(classes) == resolved, name
            assert resolved.shapes()[-1] == (classes,)


@pytest.mark.parametrize(
    ("text", "layer"),
    [
        ("Conv 5x5x20/1", Conv((5, 5), 20)),
        ("conv 3x2x8/2 PAD 1", Conv((3, 2), 8, stride=2, padding=1)),
        ("Conv 3x3x8/1 groups 4 dilation 2 pad 2", Conv((3, 3), 8, padding=2, dilation=2, groups=4)),
        ("Conv 1x1x2*classes/1", Conv((1, 1), 20)),
        ("Max 2x2/2", Pool("max", (2, 2), 2)),
        ("avg 3x2/2 pad_end 1", Pool("avg", (3, 2), 2, padding_end=1)),
        ("FC 500", FC(500)),
        ("  fc   classes ", FC(10)),
        ("FC 2*classes", FC(20)),
        ("FC 3 * Classes", FC(30)),
        ("FC max(256, 3*classes)", FC(256)),
        ("FC max(3*classes,25)", FC(30)),
    ],
)
def test_notation(text: str, layer: object) -> None:
    parsed = parse_layer(text, 10)
    assert parsed == layer
    assert parse_layer(str(parsed), None) == layer


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *(
            (text, "is not a layer; write it like")
            for text in ("", "Cnv 3x3", "Conv 3x3/1", "Conv 3x3x4", "Max 2/2")
        ),
        *(
            (text, "is not a layer")
            for text in ("FC", "Conv 3x3x4/1 pad", "Conv 3x3x4/1 pda 1", "Max 2x2/2 pad 1", "ReLU")
        ),
        *(
            (text, "a width is a number")
            for text in ("FC x", "FC -1", "FC classes*2", "FC max(1)", "FC 1.5", "FC \u0665")
        ),
        *((text, "must be at least 1") for text in ("Conv 3x3x4/0", "Conv 0x3x4/1", "Max 2x2/0", "FC 0")),
        ("Conv 3x3x4/1 groups 0", "must be at least 1"),
        ("FC 0*classes", "must be at least 1"),
        ("Max 2x2/2 pad_end 2", "pad_end must be smaller than the window"),
        ("FC 9999999", "9999999 is too large; numbers in layers have 6 digits at most"),
        ("Conv 1x1x4/99999999999999999999999", "is too large"),
        ("FC " + "9" * 5000, "is too large"),
    ],
)
def test_notation_that_is_refused(text: str, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        parse_layer(text, 10)


@pytest.mark.parametrize(
    ("size", "layers", "message"),
    [
        ((8, 8, 1), ["Conv 9x9x4/1", "FC classes"], r"layer 1 \(Conv 9x9x4/1\) does not fit an input of 8x8x1"),
        (
            (8, 8, 1),
            ["FC 20", "Max 2x2/2", "FC classes"],
            r"layer 2 \(Max 2x2/2\) needs an image, but a vector of 20",
        ),
        ((5,), ["Conv 1x1x2/1", "FC classes"], "needs an image, but a vector of 5 reaches it"),
        ((8, 8, 3), ["Conv 3x3x4/1 groups 2", "FC classes"], "groups must divide both 3 and 4"),
        ((8, 8, 2), ["Conv 3x3x3/1 groups 2", "FC classes"], "groups must divide both 2 and 3"),
        ((8, 8, 1), ["Max 2x2/2 pad_end 1", "FC classes"], "pad_end must just complete the last window"),
        ((9, 9, 1), ["Max 3x3/2 pad_end 2", "FC classes"], "pad_end must just complete the last window"),
        ((9, 9, 1), ["Max 2x2/1 pad_end 1", "FC classes"], "pad_end must just complete the last window"),
        ((8, 8), ["FC classes"], "input 8x8 has no channels; write 8x8x1"),
        ((8, 8, 1), ["FC 11"], r"must be FC classes \(here 10, one unit per class\), not FC 11"),
        ((1, 1, 1), ["Conv 1x1xclasses/1"], "the last layer must be FC classes"),
        ((8, 8, 1), ["Conv 3x3x4/1 pad 20000", "FC classes"], "gives 40006x40006x4, more than 100,000,000 values"),
        ((500, 500, 3), ["FC 999999", "FC classes"], "has 749,999,250,000 weights; at most 1,000,000,000"),
        (
            (8, 8, 1),
            ["FC 30000"] * 3 + ["FC classes"],
            "the network has 1,802,310,010 weights and biases; at most",
        ),
        ((90_000, 90_000, 3), ["FC classes"], "input 90000x90000x3 has more than 100,000,000 values"),
    ],
)
def test_layers_that_do_not_fit(size: tuple[int, ...], layers: list[str], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        Network(input=size, layers=tuple(layers)).resolve(10)


def test_names_in_any_case_and_the_nearest() -> None:
    assert find_network("CIFAR") == NETWORKS["cifar"]
    with pytest.raises(
        UsageError, match=r'"cifr" is not a network\. Did you mean "cifar"\? \(asymbp ls networks\)'
    ):
        find_network("cifr")


def test_operations_are_a_flat_list_in_the_order_of_computation() -> None:
    layers = ("Conv 3x3x4/1", "Max 2x2/2", "Conv 3x3x5/1 pad 1", "Avg 3x3/2", "FC 6", "FC 3")
    network = Network(input=(8, 8, 2), layers=layers)
    named = [f"{type(op).__name__} {getattr(op, 'number', '')}".strip() for op in network.operations()]
    assert named == [
        "Weighted 1", "Pooling 2", "Activate",  # a max pooling goes first
        "Weighted 3", "Activate", "Pooling 4",  # an average pooling does not
        "Weighted 5", "Activate", "Weighted 6",
    ]  # fmt: skip
    with_norm = network.operations(batch_norm=True)
    normalized = [(op.number, with_norm[i - 1]) for i, op in enumerate(with_norm) if isinstance(op, Normalize)]
    assert [number for number, _ in normalized] == [1, 3, 5]  # all weighted layers but the last, directly
    assert all(isinstance(before, Weighted) and before.number == number for number, before in normalized)
    assert [op for op in with_norm if not isinstance(op, Normalize)] == list(network.operations())
    assert [op.first for op in network.weighted()] == [True, False, False, False]
    for before, after in pairwise([op for op in network.operations() if isinstance(op, Weighted | Pooling)]):
        assert before.after == after.before


def test_poolings_before_any_weighted_layer_and_in_a_row() -> None:
    network = Network(input=(9, 9, 1), layers=("Avg 2x2/1", "Conv 1x1x3/1", "Max 2x2/1", "Max 2x2/1", "FC 2"))
    kinds = [type(op).__name__ for op in network.operations()]
    assert kinds == ["Pooling", "Weighted", "Pooling", "Pooling", "Activate", "Weighted"]
    assert network.weighted()[0].first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *(
            (text, "an activation follows every layer but the last")
            for text in ("ReLU", "relu()", "Tanh", "LeakyReLU(0.1)")
        ),
        *((text, "belongs to the method") for text in ("BN", "BatchNorm2d(20)", "batch_norm", "batchnorm")),
        *((text, "there is no dropout") for text in ("Dropout", "dropout 0.5", "Drop-Out(0.5)")),
        *((text, "the loss has it") for text in ("Softmax", "LogSoftmax", "log_softmax")),
        *((text, "FC flattens what reaches it") for text in ("Flatten", "flatten()")),
        *((text, "write it like FC 500") for text in ("Linear 10", "Dense(10)", "FC128", "FC", "Linear")),
        *((text, "write it like Max 2x2/2") for text in ("MaxPool 2", "Max 2", "AvgPool2d(2)", "pool", "Max 2x2")),
        *(
            (text, "write it like Conv 5x5x20/1")
            for text in ("Conv2d 3", "Conv 3x3x20", "Conv2d(1, 20, 5)", "conv")
        ),
        ("AdaptiveAvgPool2d(1)", "a pooling has a size"),
        ("LSTM 20", "write it like Conv 5x5x20/1 pad 2, Max 2x2/2, FC 500 or FC classes"),
    ],
)
def test_layers_that_people_write_from_habit(text: str, message: str) -> None:
    with pytest.raises(NetworkError, match="is not a layer") as caught:
        parse_layer(text, 10)
    assert message in str(caught.value)
