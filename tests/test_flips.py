"""The campaign of flipped bits, in short."""

import importlib.util
from pathlib import Path

FILE = Path(__file__).parent / "campaigns" / "flips.py"


def test_no_flipped_bit_is_believed() -> None:
    """Those in the free space of a database are harmless: everything that is read of it is the same."""
    spec = importlib.util.spec_from_file_location("flips", FILE)
    assert spec
    assert spec.loader
    flips = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(flips)
    found = flips.run(25, seed=3)
    for kind in ("database", "database of an earlier version"):
        outcomes = found.pop(kind)
        assert set(outcomes) == {"noticed", "harmless"}
    assert set(found) == {"checkpoint", "decoded dataset", "exported file"}
    assert all(set(outcomes) == {"noticed"} for outcomes in found.values())
