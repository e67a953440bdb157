"""Plugins for tests: loaded from text, and forgotten at the end."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asymbp_cli.plugins.loading import load_file
from asymbp_cli.plugins.registry import forget
from asymbp_cli.specs.references import REGISTERED, Plugin

PAGE = Path(__file__).parents[2] / "asymbp_cli/plugins/README.md"
#: the examples of the page: wNoise, then one of everything else
NOISE, OTHERS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

#: writes text to a file of that name in the working directory, and loads it
Load = Callable[..., Plugin]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    monkeypatch.chdir(tmp_path)

    def write_and_load(text: str, name: str = "mine.py") -> Plugin:
        Path(name).write_text(text, encoding="utf-8")
        return load_file(Path(name))

    yield write_and_load
    for plugin in set(REGISTERED.values()):
        forget(plugin)
