import os
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

if find_spec("beartype"):  # shapes in annotations are checked at every call
    from jaxtyping import install_import_hook

    _TYPED = [f"asymbp_cli.training.{name}" for name in ("feedback.forms", "feedback.site", "layers", "optim")]
    install_import_hook(_TYPED, "beartype.beartype")

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.resident import ResidentData, load


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the user's cache; bits are promised for one thread; Ctrl-C works."""
    os.environ["ASYMBP_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # or children of a background job ignore Ctrl-C


@pytest.fixture(scope="session")
def digits_info(_own_cache: None) -> DecodedDataset:
    return prepare("digits", (8, 8, 1))


@pytest.fixture(scope="session")
def digits(digits_info: DecodedDataset) -> ResidentData:
    return load(digits_info)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The directory in ASYMBP_DATA, for tests on real images."""
    if not os.environ.get("ASYMBP_DATA"):
        pytest.skip("not run: ASYMBP_DATA names no directory with MNIST, CIFAR-10 and Flowers-17")
    return Path(os.environ["ASYMBP_DATA"])
