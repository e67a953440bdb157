"""The examples in the docstrings of the mathematical functions run."""

import doctest
import importlib

import pytest

MODULES = {"layers": 4, "optim": 1, "feedback.forms": 1, "feedback.site": 1}  # functions with examples


@pytest.mark.parametrize(("name", "count"), MODULES.items())
def test_examples_run(name: str, count: int) -> None:
    module = importlib.import_module(f"asymbp_cli.training.{name}")
    documented = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert len(documented) == count
    assert doctest.testmod(module).failed == 0
