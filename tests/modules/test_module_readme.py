"""The examples for Python users run as they are written."""

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "asymbp_cli"


@pytest.mark.parametrize(("document", "count"), [("modules/README.md", 4), ("README.md", 2)])
def test_examples_run(document: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (PACKAGE / document).read_text(), re.DOTALL)
    assert len(blocks) == count
    names: dict[str, object] = {}
    for block in blocks:
        if "import asymbp_cli" in block or names:
            exec(block, names)
    assert names
