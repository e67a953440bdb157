"""The paper's tables as data: `recipes/tables/*.yaml`, their published numbers, and tables of a user's own."""

import csv
import shlex
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from asymbp_cli.datasets.catalog import CATALOG, find_entry
from asymbp_cli.errors import RecipeError, UsageError
from asymbp_cli.files.paths import expand_home
from asymbp_cli.recipe.document import Node
from asymbp_cli.recipe.networks import check_network, read_network
from asymbp_cli.recipe.procedure import Procedure
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.recipe.resources import is_inline, named_files, names_a_file, recipes_directory
from asymbp_cli.recipe.wording import quote
from asymbp_cli.recipe.yamlfile import read_yaml
from asymbp_cli.specs.base import Label, Spec, is_label
from asymbp_cli.specs.methods import Method, method_name, parse_method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import SHARED_FIELDS, Protocol
from asymbp_cli.text import nearest, printable_path


class Variant(Spec):
    """A method, and the protocol fields in which it differs from the table's protocol.

    With `grow_before_rate_drops` no batch size begins in an epoch in which the rate drops too, if an earlier one
    is free.
    """

    method: Method
    changes: dict[str, Any] = Field(default_factory=dict)
    grow_before_rate_drops: bool = False

    def under(self, protocol: Protocol) -> Procedure:
        """Return the procedure that this is under a table's protocol."""
        if self.changes:
            protocol = Protocol.model_validate(protocol.model_dump() | self.changes)
        if self.grow_before_rate_drops:
            protocol = protocol.growing_before_rate_drops()
        return Procedure(method=self.method, protocol=protocol)


class TableColumn(Spec):
    """A column; its cell is the best over all its variants."""

    header: str
    variants: Annotated[tuple[Variant, ...], Field(strict=False, min_length=1)]


class TableSpec(Spec):
    """A table. `reference` names the file of its published numbers; only the paper's own tables have one.

    `published` names that of a table of another paper (`analysis/marks.py`), whose network and protocol it has.
    """

    key: str  # "2", "4-c1", or a user's file stem
    title: Label
    kind: Literal["networks", "errors"] = "errors"
    datasets: Annotated[tuple[str, ...], Field(strict=False)] = ()  # the paper's, by our names
    columns: Annotated[tuple[TableColumn, ...], Field(strict=False)] = ()
    baseline: str = "SGD"
    reference: str | None = None
    network: Network | None = None  # of all datasets; None: the paper's
    protocol: Label | None = None  # unless another one is asked for
    published: str | None = None

    @property
    def baseline_method(self) -> Method:
        """The method that colours compare with."""
        return parse_method(self.baseline)


#: what a table's file may say; `runs` of a column are its variants
TABLE_KEYS = tuple(name for name in TableSpec.model_fields if name != "key")
_PROCEDURE_KEYS = ("method", "protocol", "grow_before_rate_drops")
COLUMN_KEYS = ("header", *_PROCEDURE_KEYS, "runs")
VARIANT_KEYS = ("header", *_PROCEDURE_KEYS)
FIXED_FIELDS = ("rate_multipliers", *SHARED_FIELDS)  # the same for all columns


@cache
def table_files() -> dict[str, Path]:
    """Return the files of the paper's tables by key; no table of a user has one of these keys."""
    files = named_files("tables")
    return {name.removeprefix("table"): file for name, file in files.items() if name.startswith("table")}


@cache
def other_table_files() -> dict[str, Path]:
    """Return the files of other papers' tables by key; no table of a user has one of these keys."""
    return {name: file for name, file in named_files("tables").items() if not name.startswith("table")}


def is_table(name: str) -> bool:
    """Return whether a name is that of tables that come with the tool."""
    key = _simplify(name)
    return key in {*table_files(), "4", "all", *other_table_files()}


def _simplify(name: str) -> str:
    """Return a table's name as its key: `Table-2` is 2."""
    return name.lower().removeprefix("table").removeprefix("-")


def load_table(key_or_path: str) -> tuple[TableSpec, ...]:
    """Return the tables of that key, or the one in a file: `4` gives 4-c1 and 4-c2, `all` every one of the paper.

    In place of a path the table itself may be given: `{columns: [SGD, uSF]}`.

    Raises UsageError with the nearest key, or RecipeError with all problems of the file.
    """
    files = table_files()
    name = _simplify(key_or_path)
    keys = [key for key in files if name in ("all", key) or key.startswith(f"{name}-")]
    if keys:
        return tuple(_load_papers(files[key], key) for key in keys)
    others = other_table_files()
    if name in others:
        return (_load_papers(others[name], name),)
    if is_inline(key_or_path):
        return (_load(Path(key_or_path), "table"),)
    if names_a_file(key_or_path):
        file = expand_home(key_or_path)
        if file.stem in (*files, *others):
            raise UsageError(f"{file}: {file.stem} is a table of a paper. Give the file another name")
        return (load_table_file(file),)
    known = (*files, "4", "all", *others)
    raise UsageError(
        f'"{key_or_path}" is not a table; there are {", ".join(known)}, or the path of a file.'
        f"{nearest(key_or_path, known)} (asymbp ls tables)"
    )


def load_table_file(file: Path) -> TableSpec:
    """Return the table in a file; raises RecipeError with all its problems."""
    return _load(file, printable_path(file.stem))


@cache
def _load_papers(file: Path, key: str) -> TableSpec:
    return _load(file, key)


def _load(file: Path, key: str) -> TableSpec:
    document = read_yaml(file)
    root = document.root
    if "dataset" in root and "method" in root and "columns" not in root:
        command = shlex.join(["asymbp", "train", str(file)])
        raise RecipeError([f"{document.name}: is a recipe, not a table. Train it with {command}"])
    root.has_only(TABLE_KEYS)
    content = dict(root.select(TABLE_KEYS).value)
    folder = Path() if is_inline(file) else file.parent
    if folder.resolve() != (recipes_directory() / "tables").resolve() or is_inline(file):
        for kind in ("reference", "published"):
            _check_reference(root[kind], content.pop(kind, None))
    network = content["network"] = read_network(root.get("network", None), folder)
    names = [item.value for item in root.get("datasets", []).items() if isinstance(item.value, str)]
    check_network(root["network"], network, [name for name in names if name in CATALOG])
    columns = _read_columns(root.get("columns", []))
    _check(root)
    table = root.validate(TableSpec, content | {"key": key, "columns": columns})
    document.raise_problems()
    if table is None:
        raise RecipeError([f"{file}: is not a table"])
    return table


def _check_reference(node: Node, name: object) -> None:
    """Note a reference of a user's table, which means nothing; a copy of the paper's tables may keep theirs."""
    known = [file.name for file in (recipes_directory() / "reference").glob("*.csv")]
    if name is not None and name not in known:
        node.note("means nothing in your own tables, which find the paper's numbers by method. Delete the line")


def _check(root: Node) -> None:
    """Note what is wrong with values that are names, and whether there are columns."""
    for name in root.get("datasets", []).items():
        if isinstance(name.value, str) and name.value not in CATALOG:
            name.attempt(find_entry, name.value)
    if isinstance(root["baseline"].value, str):
        root["baseline"].attempt(parse_method, root["baseline"].value)
    if isinstance(root["protocol"].value, str):
        root["protocol"].attempt(load_protocol, root["protocol"].value)
    if root["kind"].value in (None, "errors") and not root["columns"].value:
        root["columns"].note("is missing. Write columns: [SGD, uSF+BN+BM] (asymbp ls methods)")


def _read_columns(node: Node) -> list[TableColumn]:
    if not isinstance(node.value, list):
        if node.value is not None:  # then they are missing
            node.note(f"must be a list of columns, not {quote(node.value)}")
        return []
    columns: list[TableColumn] = []
    headers: set[str] = set()
    for item in node.items():
        column = _read_column(item)
        if column and column.header in headers:
            item.note(f'a column "{column.header}" is above already. Give it another header')
        if column:
            headers.add(column.header)
            columns.append(column)
    return columns


def _read_column(node: Node) -> TableColumn | None:
    """Return a column; None if it has problems, which are noted."""
    if isinstance(node.value, str):
        node = replace(node, value={"header": node.value, "method": node.value})
    before = len(node.document.problems)
    node.has_only(COLUMN_KEYS)
    if not node.is_mapping:
        return None
    header = node["header"].value if "header" in node else node["method"].value
    if not is_label(header) and ("header" in node or "runs" in node):
        node.note(f"needs a header: text on one line, not {quote(header)}")
    if "runs" in node and (both := [key for key in _PROCEDURE_KEYS if key in node]):
        node.note(f"has both runs and {' and '.join(both)}. Put {'these' if both[1:] else 'this'} into runs")
    alone = node.select(_PROCEDURE_KEYS)
    variants = _read_variants(node["runs"]) if "runs" in node else [_read_variant(alone)]
    if not variants or None in variants or len(node.document.problems) > before:
        return None
    return TableColumn(header=header, variants=tuple(variant for variant in variants if variant))


def _read_variants(node: Node) -> list[Variant | None]:
    """Return the variants in a list; empty, with a problem noted, if it is none."""
    if not isinstance(node.value, list):
        node.note(f"must be a list of methods, not {quote(node.value)}")
        return []
    if not node.value:
        node.note("must not be empty")
    return [_read_variant(item) for item in node.items()]


def _read_variant(node: Node) -> Variant | None:
    """Return a method with its changes; None if it has problems, which are noted."""
    before = len(node.document.problems)
    node.has_only(VARIANT_KEYS)
    if not node.is_mapping:
        return None
    name, grow = node["method"], node.get("grow_before_rate_drops", False)
    if isinstance(name.value, str):
        method = name.attempt(parse_method, name.value)
    else:
        method = None
        name.note(f"must be the name of a method, not {quote(name.value)} (asymbp ls methods)")
    changes = _read_changes(node.get("protocol", {}))
    protocol = changes and node["protocol"].validate(Protocol, Protocol().model_dump() | changes)
    if not isinstance(grow.value, bool):
        grow.note(f"must be true or false, not {quote(grow.value)}")
    elif grow.value and not (protocol and protocol.batch_grows):
        grow.note(
            "needs a batch size that changes, next to it: "
            "protocol: {batch_size: [{from_epoch: 1, size: 100}, {from_epoch: 4, size: 500}]}"
        )
    if method is None or len(node.document.problems) > before:
        return None
    return Variant(method=method, changes=changes or {}, grow_before_rate_drops=grow.value)


def _read_changes(node: Node) -> dict[str, Any]:
    """Return the changes of a column to the protocol, without what it cannot change; problems are noted."""
    own = [name for name in Protocol.model_fields if name not in FIXED_FIELDS]
    if not node.is_mapping:
        node.note(f"must be a mapping of protocol fields, not {quote(node.value)}")
        return {}
    node.has_only(own)
    return dict(node.select(own).value)


@cache
def load_reference(file_name: str) -> dict[tuple[str, str], float]:
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
def load_published() -> dict[tuple[str, str], float]:
    """Return every error in percent that the paper prints, by (row name in the paper, name of the method)."""
    errors: dict[tuple[str, str], float] = {}
    for table in load_table("all"):
        numbers = load_reference(table.reference) if table.reference else {}
        methods = {column.header: method_name(column.variants[0].method) for column in table.columns}
        errors |= {(row, methods[header]): value for (row, header), value in numbers.items()}
    return errors
