import os
import signal
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

if find_spec("beartype"):  # shapes in annotations are checked at every call
    from jaxtyping import install_import_hook

    _TYPED = [f"asymbp_cli.training.{name}" for name in ("feedback.forms", "feedback.site", "layers", "optim")]
    install_import_hook(_TYPED, "beartype.beartype")

from asymbp_cli.datasets import resident
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.specs.references import REGISTERED, Plugin

_OF_TERMINALS = ("CI", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests for a GPU are skipped, and not counted as passed, if there is none."""
    if not torch.cuda.is_available():
        for item in filter(lambda item: item.get_closest_marker("gpu"), items):
            item.add_marker(pytest.mark.skip(reason="not run: there is no CUDA device"))


@pytest.fixture(scope="session", autouse=True)
def _any_terminal() -> None:
    """Tests see the same variables in a terminal, in a dumb one, and in CI."""
    os.environ["TERM"] = "xterm"
    for name in _OF_TERMINALS:
        os.environ.pop(name, None)


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
    return resident.load(digits_info)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The directory in ASYMBP_DATA, for tests on real images."""
    if not os.environ.get("ASYMBP_DATA"):
        pytest.skip("not run: ASYMBP_DATA names no directory with MNIST, CIFAR-10 and Flowers-17")
    return Path(os.environ["ASYMBP_DATA"])


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Plugin]]:
    """A function that writes a plugin to a file of the working directory and loads it; forgotten at the end."""
    from asymbp_cli.plugins.loading import load_file
    from asymbp_cli.plugins.registry import forget

    monkeypatch.chdir(tmp_path)

    def write_and_load(text: str, name: str = "mine.py") -> Plugin:
        Path(name).write_text(text, encoding="utf-8")
        return load_file(Path(name))

    yield write_and_load
    for plugin in set(REGISTERED.values()):
        forget(plugin)
