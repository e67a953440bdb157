"""The paper's tables as data: `recipes/tables/*.yaml`, their published numbers, and tables of a user's own."""

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from asymbp_cli.datasets.catalog import CATALOG, find_entry
from asymbp_cli.errors import RecipeError, UsageError
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.recipe.wording import KeyPath
from asymbp_cli.recipe.yamlfile import Checker, read
from asymbp_cli.specs.base import Label, Spec, is_label
from asymbp_cli.specs.methods import Method, method_name, parse_method
from asymbp_cli.specs.protocol import SHARED_FIELDS, Protocol
from asymbp_cli.text import nearest, printable_path, yaml_value


class ColumnRun(Spec):
    """A method, and the protocol fields in which it differs from the table's protocol."""

    method: Method
    overlay: dict[str, Any] = Field(default_factory=dict)


class TableColumn(Spec):
    """A column; its cell is the best over all its runs."""

    header: str
    runs: Annotated[tuple[ColumnRun, ...], Field(strict=False, min_length=1)]


class TableSpec(Spec):
    """A table. `reference` names the file of its published numbers; only the paper's own tables have one."""

    key: str  # "2", "4-c1", or a user's file stem
    title: Label
    kind: Literal["networks", "errors"] = "errors"
    datasets: Annotated[tuple[str, ...], Field(strict=False)] = ()  # the paper's, by our names
    columns: Annotated[tuple[TableColumn, ...], Field(strict=False)] = ()
    baseline: str = "SGD"
    reference: str | None = None

    @property
    def baseline_method(self) -> Method:
        """The method that colours compare with."""
        return parse_method(self.baseline)


def load_table(key_or_path: str) -> tuple[TableSpec, ...]:
    """Return the tables of that key: `2`; `4` gives 4-c1 and 4-c2, `all` every one; or the one in a file.

    Raises UsageError with the nearest key, or RecipeError with all problems of the file.
    """
    directory = recipes_directory() / "tables"
    files = {file.stem.removeprefix("table"): file for file in sorted(directory.glob("table*.yaml"))}
    wanted = key_or_path.lower().removeprefix("table").removeprefix("-")
    chosen = [key for key in files if wanted in ("all", key) or key.startswith(f"{wanted}-")]
    if chosen:
        return tuple(_tools_own(files[key], key) for key in chosen)
    if "/" in key_or_path or key_or_path.endswith((".yaml", ".yml")):
        file = Path(key_or_path)
        if file.stem in files:
            raise UsageError(f"{file}: {file.stem} is a table of the paper; give the file another name")
        return (_load(file, printable_path(file.stem)),)
    raise UsageError(
        f'"{key_or_path}" is not a table; there are {", ".join(files)}, 4, all, or the path of a file.'
        f"{nearest(key_or_path, files)} (asymbp ls tables)"
    )


def column_protocol(protocol: Protocol, overlay: Mapping[str, Any]) -> Protocol:
    """Return `protocol` with a column's own fields laid over it."""
    return Protocol.model_validate(protocol.model_dump() | dict(overlay)) if overlay else protocol


@cache
def _tools_own(file: Path, key: str) -> TableSpec:
    return _load(file, key)


def _load(file: Path, key: str) -> TableSpec:
    document = read(file)
    checker = Checker(document)
    content = dict(document.data)
    own = file.parent == recipes_directory() / "tables"
    checker.keys((), content, [name for name in TableSpec.model_fields if name != "key"])
    if not own:  # a user's columns find the paper's numbers by method
        content.pop("reference", None)
    written = content.pop("columns", [])
    if not isinstance(written, list):
        checker.add(("columns",), f"must be a list of columns, not {yaml_value(written)}")
        written = []
    columns = [_column(checker, ("columns", i), item) for i, item in enumerate(written)]
    headers = [column and column.header for column in columns]
    for i, header in enumerate(headers):
        if header and header in headers[:i]:
            checker.add(("columns", i), f'a column "{header}" stands above already; give it another header')
    known = {name: value for name, value in content.items() if name in TableSpec.model_fields}
    fields = known | {"key": key, "columns": [column for column in columns if column]}
    table = checker.attempt((), TableSpec.model_validate, fields)
    if table:
        checker.attempt(("baseline",), parse_method, table.baseline)
        for i, name in enumerate(table.datasets):
            if name not in CATALOG:
                checker.attempt(("datasets", i), find_entry, name)
        if table.kind == "errors" and not written:
            checker.add(("columns",), "is missing; write columns: [SGD, uSF+BN+BM] (asymbp ls methods)")
    checker.finish()
    if table is None:
        raise RecipeError([f"{file}: is not a table"])
    return table


def _column(checker: Checker, path: KeyPath, item: Any) -> TableColumn | None:
    if isinstance(item, str):
        item = {"header": item, "method": item}
    if not checker.keys(path, item, ("header", "method", "protocol", "runs")):
        return None
    header = item.get("header", item.get("method"))
    if not is_label(header):
        checker.add(path, f"needs a header: text on one line, not {yaml_value(header)}")
        return None
    if "runs" in item and ("method" in item or "protocol" in item):
        checker.add(path, "has both runs and method or protocol; put these into runs")
    sources = item.get("runs", [{k: item[k] for k in ("method", "protocol") if k in item}])
    if not isinstance(sources, list) or not sources:
        found_text = (
            "must not be empty" if sources == [] else f"must be a list of methods, not {yaml_value(sources)}"
        )
        checker.add((*path, "runs"), found_text)
        return None
    inner = [(*path, "runs", i) if "runs" in item else path for i in range(len(sources))]
    runs = [_run(checker, where, source) for where, source in zip(inner, sources, strict=True)]
    found = [run for run in runs if run]
    return TableColumn(header=header, runs=tuple(found)) if len(found) == len(runs) else None


def _run(checker: Checker, path: KeyPath, item: Any) -> ColumnRun | None:
    if not checker.keys(path, item, ("header", "method", "protocol")):
        return None
    name, overlay = item.get("method"), item.get("protocol", {})
    if not isinstance(name, str):
        checker.add((*path, "method"), f"must be the name of a method, not {yaml_value(name)} (asymbp ls methods)")
        return None
    method = checker.attempt((*path, "method"), parse_method, name)
    if not isinstance(overlay, Mapping):
        checker.add((*path, "protocol"), f"must be a mapping of protocol fields, not {yaml_value(overlay)}")
        return None
    allowed = [name for name in Protocol.model_fields if name not in ("rate_multipliers", *SHARED_FIELDS)]
    if not checker.keys((*path, "protocol"), overlay, allowed):
        return None
    valid = checker.attempt((*path, "protocol"), Protocol.model_validate, Protocol().model_dump() | dict(overlay))
    return ColumnRun(method=method, overlay=dict(overlay)) if method and valid else None


@cache
def reference(file_name: str) -> dict[tuple[str, str], float]:
    """Return the published errors in percent of `recipes/reference/<file_name>`, by (row, header)."""
    with open(recipes_directory() / "reference" / file_name, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        (row["dataset"], header): float(value)
        for row in rows
        for header, value in row.items()
        if header != "dataset"
    }


@cache
def published() -> dict[tuple[str, str], float]:
    """Return every error in percent that the paper prints, by (row name in the paper, name of the method)."""
    found: dict[tuple[str, str], float] = {}
    for table in load_table("all"):
        numbers = reference(table.reference) if table.reference else {}
        by_header = {column.header: method_name(column.runs[0].method) for column in table.columns}
        found |= {(row, by_header[header]): value for (row, header), value in numbers.items()}
    return found
