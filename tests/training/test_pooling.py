"""Poolings: Triton's kernels equal the plain operations, the errors of overlapping windows included."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from kernels_in_the_interpreter import interpret
from layer_cases import POOLS, draw, draw_ties, pool_and_back

from asymbp_cli.specs.layers import Pool
from asymbp_cli.training import pooling

# of numpy, by which Triton interprets
pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")


@pytest.fixture(scope="module")
def kernels() -> Iterator[dict[str, Any]]:
    pytest.importorskip("triton", reason="not run: Triton is not installed")
    with interpret("pooling") as modules:
        yield modules


@pytest.mark.parametrize("layer", POOLS, ids=str)
@pytest.mark.parametrize("block", [1024, 16])
def test_kernels_pool_as_plain_operations(
    layer: Pool, block: int, kernels: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels["pooling"], "_BLOCK", block)
    x = draw_ties(2, 3, 13, 13)
    right, right_error = pool_and_back(x, layer)
    monkeypatch.setattr(pooling, "find_kernels", lambda name, kind: kernels[name])
    found, found_error = pool_and_back(x, layer)
    torch.testing.assert_close(found, right, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(found_error, right_error, rtol=0, atol=0)
    assert found_error.count_nonzero() > 0


def test_without_an_error_to_come_no_places_are_kept(
    kernels: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, layer = draw(2, 3, 8, 8), Pool("max", (2, 2), 2)
    right = pooling.pool(x, layer, counts_border=False)
    monkeypatch.setattr(pooling, "find_kernels", lambda name, kind: kernels[name])
    made: list[torch.dtype] = []
    make = kernels["pooling"].make_image

    def note(*how: Any) -> torch.Tensor:
        image: torch.Tensor = make(*how)
        made.append(image.dtype)
        return image

    monkeypatch.setattr(kernels["pooling"], "make_image", note)
    assert torch.equal(pooling.pool(x, layer, counts_border=False), right)
    assert made == [torch.float32]


def test_average_poolings_and_windows_of_many_places_are_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooling, "find_kernels", lambda name, kind: object())
    x = draw(1, 2, 16, 16)
    assert pooling.pool(x, Pool("avg", (2, 2), 2), counts_border=False).shape == (1, 2, 8, 8)
    assert pooling.pool(x, Pool("max", (16, 16), 1), counts_border=False).shape == (1, 2, 1, 1)
