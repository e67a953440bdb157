import pytest
import torch

from asymbp_cli.training.device import open_device


@pytest.fixture(scope="session")
def gpu() -> torch.device:
    return open_device("cuda")
