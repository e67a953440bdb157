"""Triton kernels as its interpreter runs them on the CPU; the modules themselves stay as a GPU needs them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

import asymbp_cli


@contextmanager
def interpret(name: str) -> Iterator[ModuleType]:
    """Load `training/kernels/NAME.py` with kernels that Triton interprets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        file = Path(asymbp_cli.__file__).parent / "training" / "kernels" / f"{name}.py"
        spec = spec_from_file_location(f"interpreted_{name}", file)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        yield module
