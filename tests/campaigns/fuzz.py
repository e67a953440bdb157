"""Reads thousands of odd recipes, tables, protocols and networks: each is loaded, or refused in words.

python tests/campaigns/fuzz.py COUNT [SEED]: COUNT files, half of them shipped ones with changes, half made up.
Exit code 1 if another exception than the tool's own is raised, a file takes more than a second of processor time,
or a recipe means something else once it is written out with all its defaults.
"""

import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from studies import ROOT
from tally import Tally, main

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.errors import AsymbpError
from asymbp_cli.recipe.build import make_recipe_grid, make_table_grid
from asymbp_cli.recipe.format import RECIPE_KEYS
from asymbp_cli.recipe.networks import NetworkFile, load_network
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.recipe.recipe import load_recipe, resolved_yaml
from asymbp_cli.recipe.table import COLUMN_KEYS, TABLE_KEYS, load_table
from asymbp_cli.specs.methods import Method
from asymbp_cli.specs.protocol import Protocol

MOST_SECONDS = 1.0
KINDS = {"recipe": "examples", "table": "tables", "protocol": "protocols", "network": "networks"}
SHIPPED = {
    kind: [file.read_text(encoding="utf-8") for file in sorted((ROOT / "recipes" / folder).glob("*.yaml"))]
    for kind, folder in KINDS.items()
}
DIGITS = DecodedDataset(
    key="digits",
    label="digits",
    paper_name=None,
    exact=True,
    classes=tuple("0123456789"),
    shape=(8, 8, 1),
    train_count=1437,
    test_count=360,
    fingerprint="f" * 64,
    directory="/nowhere",
)
#: what takes the place of a value
ODD = (
    *(
        "",
        "~",
        "null",
        "true",
        "on",
        '"\\ud800"',
        "''",
        "-1",
        "0",
        "-0",
        "0.0",
        "1e3",
        "1e-320",
        "1e999",
        ".inf",
        "-.inf",
        ".nan",
    ),
    *("007", "0x10", "1_000", "12:30:45", "2026-11-27", "9" * 18, "9" * 19, "9" * 400, "1" + "0" * 5000),
    *("0." + "0" * 400, "*a", "&a [*a, *a]", "&a b", "<<: *a", "!!int 3", "!!python/object/apply:os.getcwd []"),
    *("!x y", "? a", "- - - a", "[" * 60 + "]" * 60, "{a: " * 60 + "b" + "}" * 60, "[" * 3000, "[]", "{}", "[[]]"),
    *("[null]", "é", "日本", "😀", "\u202e", "\ufeff", "\u2028", "\x85", '"\\0"', '"\\ud800"', '"\\e[31m"', "\t"),
    *(
        "a" * 5000,
        "a\\nb",
        "digits",
        "mnist",
        "[digits, mnist]",
        "/nowhere",
        "../..",
        "~nobody",
        "..",
        "a\\0b",
        "%s%n",
    ),
    *("{0}", "SGD", "uSF+BN+BM", "brSF-101%", "brSF-1e5%", "brSF--0%", "+", "SGD+SGD", "[SGD, SGD]", "[1, 1]"),
    *("Conv 5x5x32/1 pad 2", "FC 0", "FC classes", "FC 99999999", "Conv 0x0x0/0", "Conv 999999x999999x999999/1"),
    *("Max 2x2/0", "0x0x0", "999999x999999x3", "[{from_epoch: 1, size: 1}]", "[{from_epoch: 9, size: 0}]"),
    *("{folder: .}", "{scheme: rndf}", "[0.5, 0.5]", "{extends: [demo]}", "{extends: demo, epochs: 3}"),
)
KEYS = sorted(
    {
        *RECIPE_KEYS,
        *TABLE_KEYS,
        *COLUMN_KEYS,
        *Protocol.model_fields,
        *Method.model_fields,
        *NetworkFile.model_fields,
    }
)

values = st.sampled_from(ODD)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["demo", "SGD", "bp"]),
)
names = st.one_of(st.sampled_from(KEYS), st.text(max_size=8))
structures = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(names, inner, max_size=6), max_leaves=30
)
documents = st.dictionaries(st.sampled_from(KEYS), structures, max_size=8).map(
    lambda data: yaml.safe_dump(data, allow_unicode=True)
)


@st.composite
def changed(draw: Any, kind: str) -> str:
    """Draw a shipped file with some changes."""
    lines = draw(st.sampled_from(SHIPPED[kind])).splitlines()
    for _ in range(draw(st.integers(1, 5))):
        at, odd = draw(st.integers(0, max(len(lines) - 1, 0))), draw(values)
        line = lines[at] if lines else ""
        key, colon, rest = line.partition(":")
        column = draw(st.integers(0, len(line)))
        change = draw(st.sampled_from(["drop", "twice", "value", "item", "letter", "cut", "indent", "key"]))
        lines[at : at + 1] = {
            "drop": [],
            "twice": [line, line],
            "value": [f"{key}{colon or ':'} {odd}"],
            "item": [line.replace(",", f", {odd},", 1)],
            "letter": [line[:column] + odd + line[column:]],
            "cut": [line[:column]],
            "indent": [f" {line}"],
            "key": [f"{draw(names)}:{rest}"],
        }[change]
    return "\n".join(lines) + "\n"


def load(kind: str, file: Path) -> bool:
    """Load a file as `asymbp validate` and a study would; return whether what it means can be written and read."""
    if kind == "network":
        load_network(file)
    elif kind == "protocol":
        load_protocol(str(file))
    elif kind == "table":
        for table in load_table(str(file)):
            make_table_grid(table, Protocol(), "paper", [DIGITS])
    else:
        recipe = load_recipe(file)
        file.write_text(resolved_yaml(recipe), encoding="utf-8")
        if load_recipe(file) != recipe:
            return False
        make_recipe_grid(recipe, [DIGITS])
    return True


def judge(kind: str, text: str, file: Path, tally: Tally) -> str:
    """Return whether a file is loaded or refused; note what is neither."""
    began, what, outcome = time.process_time(), f"{kind} {text[:600]!r}", "loaded"
    try:
        file.write_text(text, encoding="utf-8", errors="surrogatepass")
        tally.believed(load(kind, file), f"{what} means something else once it is written out")
    except AsymbpError as error:
        outcome = "refused"
        tally.lost(str(error).strip(), f"{what} is refused without a word")
    except Exception as error:
        place = traceback.format_exc().splitlines()[-3].strip()
        tally.faults["tracebacks"].append(f"{type(error).__name__}: {str(error)[:200]} ({place}): {what}")
    seconds = time.process_time() - began
    tally.lost(seconds < MOST_SECONDS, f"{what} takes {seconds:.1f} s")
    return outcome


def draw_texts(strategy: st.SearchStrategy[str], count: int, number: int) -> Iterator[str]:
    """Yield texts of a strategy, the same ones for the same `number`."""
    texts: list[str] = []

    @seed(number)
    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def keep(text: str) -> None:
        texts.append(text)

    keep()
    yield from texts[:count]


def run(tally: Tally, seed_: int) -> None:
    """Note in the tally what becomes of odd files."""
    outcomes = Counter[str]()
    with tempfile.TemporaryDirectory() as directory:
        for kind in KINDS:
            for text in draw_texts(st.one_of(changed(kind), documents), tally.goal // len(KINDS), seed_):
                tally.tried[kind] += 1
                outcomes[judge(kind, text, Path(directory) / "odd.yaml", tally)] += 1
    tally.notes.append(", ".join(f"{times} {outcome}" for outcome, times in outcomes.items()))


if __name__ == "__main__":
    raise SystemExit(main(run, 10_000))
