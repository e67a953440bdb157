"""Kernels on a GPU against plain operations. Skipped, and not counted as passed, if there is no GPU."""

import pytest
import torch
from gpu_runs import make_runs
from layer_cases import GEOMETRIES, POOLS, REPLICAS, draw, draw_ties, pool_and_back

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.specs.layers import Pool
from asymbp_cli.specs.protocol import Precision, Protocol
from asymbp_cli.training import draws, products, update
from asymbp_cli.training.bank import Bank
from asymbp_cli.training.device import set_precision
from asymbp_cli.training.kernels import find_kernels
from asymbp_cli.training.model import Model

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("shared", [False, True], ids=["own input", "shared input"])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("standard", 5e-3), ("bf16", 2e-2)])
def test_kernels_convolve_as_plain_operations(
    geometry: products.Geometry, shared: bool, precision: Precision, tolerance: float, gpu: torch.device
) -> None:
    if find_kernels("products", gpu) is None:
        pytest.skip("not run: kernels do not run here")
    set_precision(gpu, precision)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    W = draw(REPLICAS, 70, 3, 2, 4 // geometry.groups).permute(0, 1, 4, 2, 3)
    x, bias = draw(5, 4 if shared else 4 * REPLICAS, 19, 18), draw(REPLICAS, 70)
    y = products.multiply(x, W, bias, geometry)  # on the CPU
    error = draw(*y.shape)
    right = [y, *products.correlate(x, error, W, geometry, biased=True)]
    there = [part.to(gpu, dtype) for part in (x, W, bias, error)]
    found = [products.multiply(*there[:3], geometry)]
    found += products.correlate(there[0], there[3], there[1], geometry, biased=True)
    if not shared:
        right.append(products.pass_back(error, x, W, geometry))
        found.append(products.pass_back(there[3], there[0], there[1], geometry))
    for ours, expected in zip(found, right, strict=True):
        assert (ours.float().cpu() - expected).norm() < tolerance * expected.norm()


@pytest.mark.parametrize("layer", POOLS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_kernels_pool_as_plain_operations(layer: Pool, dtype: torch.dtype, gpu: torch.device) -> None:
    if find_kernels("pooling", gpu) is None:
        pytest.skip("not run: kernels do not run here")
    x = draw_ties(3, 70, 13, 13).to(dtype)  # on the CPU
    right, right_error = pool_and_back(x, layer)
    found, found_error = pool_and_back(x.to(gpu), layer)
    torch.testing.assert_close(found.cpu(), right, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(found_error.cpu(), right_error)


_METHODS = ("SGD", "BM", "BM2", "BM3", "uSF", "NuSF+BM", "brSF", "brSF-25%+BM2", "frSF", "frSF-50%+BM3", "RndF")


@pytest.mark.parametrize("methods", [_METHODS, ("uSF+BN", "brSF-25%+BN+BM3"), ("BN", "BN+BM2"), ("brSF Bottom",)])
@pytest.mark.parametrize("precision", ["standard", "bf16"])
@pytest.mark.parametrize("zero_sign", [0, 1])
def test_the_fused_kernel_equals_the_plain_operations(
    methods: tuple[str, ...], precision: str, zero_sign: int, digits_info: DecodedDataset, gpu: torch.device
) -> None:
    settings = Protocol.model_validate({"precision": precision, "zero_sign": zero_sign, "manhattan_biases": False})
    runs = [run.model_copy(update={"protocol": settings}) for run in make_runs(digits_info, *methods)]
    model = Model.of(runs[0].network, settings, runs[0].method)
    plain, fused = (Bank(runs, model, gpu) for _ in range(2))
    kernel = update._kernel_of(gpu)
    if kernel is update.plain:
        pytest.skip("not run: kernels do not run here")
    source = draws.generator("gradients", device=gpu)
    for bank in (plain, fused):
        bank.begin_epoch(1, 0.01)
    for step in range(4):
        gradients = torch.randn(plain.gradients.shape, generator=source, device=gpu)
        gradients[:, ::7] = 0
        if step == 2:
            gradients[-1, plain.segments[-1].columns.stop - 1] = torch.nan
        for bank, way in ((plain, update.plain), (fused, kernel)):
            bank.gradients.copy_(gradients)
            update.update(bank, torch.ones_like(bank.alive), way)
        assert plain.alive.tolist() == fused.alive.tolist() == [True] * (len(runs) - 1) + [step < 2]
        torch.testing.assert_close(fused.weights, plain.weights, rtol=1e-6, atol=1e-6)
        ulp = 2**-7 if precision == "bf16" else 1e-6
        torch.testing.assert_close(fused.working.float(), plain.working.float(), rtol=ulp, atol=1e-6)
        for replica in range(len(runs) - 1):
            for name, expected in plain.feedback(replica).items():
                found, w = fused.feedback(replica)[name], plain.parameters(replica)[name]
                if torch.equal(expected, w):  # V is W, which may differ in rounding
                    torch.testing.assert_close(found.float(), expected.float(), rtol=ulp, atol=1e-6)
                else:  # rounding may turn a sign near 0
                    assert bool(((found == expected) | (w.abs() < 1e-5)).all())
