"""The examples of the page on plugins."""

import re
from collections.abc import Callable
from pathlib import Path

from asymbp_cli.specs.references import Plugin

PAGE = Path(__file__).parents[1] / "asymbp_cli/plugins/README.md"
#: wNoise, then one of everything else
NOISE, OTHERS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

#: writes text to a file of that name in the working directory, `mine.py` by default, and loads it
Load = Callable[..., Plugin]
