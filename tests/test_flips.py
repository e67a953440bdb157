"""The campaign of flipped bits, in short."""

import importlib.util
from pathlib import Path

FILE = Path(__file__).parent / "campaigns" / "flips.py"


def test_no_flipped_bit_is_believed_but_in_the_database() -> None:
    """In a database a digit may become another one: every read looks for the impossible only."""
    spec = importlib.util.spec_from_file_location("flips", FILE)
    assert spec
    assert spec.loader
    flips = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(flips)
    found = flips.run(25, seed=3)
    database = found.pop("database")
    assert set(database) <= {"noticed", "harmless", "believed"}
    assert database["noticed"]
    assert set(found) == {"checkpoint", "decoded dataset", "exported file"}
    assert all(set(outcomes) == {"noticed"} for outcomes in found.values())
