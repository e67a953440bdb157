"""Tables as recipes: their columns as methods, each under the protocol that the column trains it by."""

from collections.abc import Iterator
from typing import Any

from asymbp_cli.errors import UsageError
from asymbp_cli.recipe.networks import spell_out
from asymbp_cli.recipe.procedure import changed_values
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.recipe.table import TableColumn, load_table
from asymbp_cli.recipe.yamlfile import dump_line
from asymbp_cli.specs.methods import method_name
from asymbp_cli.specs.protocol import Protocol


def write_table_recipe(name: str) -> str:
    """Return a recipe with the columns of a table as YAML: on digits by demo, unless the table says otherwise.

    Raises UsageError if there is no such table, or it is no single one that is trained.
    """
    tables = load_table(name)
    if len(tables) > 1:
        keys = [f"table{spec.key}" for spec in tables if spec.kind == "errors"]
        raise UsageError(f"{name} is {len(tables)} tables. Name one: {', '.join(keys)}")
    (table,) = tables
    if table.kind != "errors":
        raise UsageError("Table 1 lists networks and trains nothing. Name another table, for instance table2")
    protocol, label = load_protocol(table.protocol or "demo")
    entries = [entry for column in table.columns for entry in _write_column(column, protocol)]
    dataset = table.datasets[0] if table.protocol else "digits"
    lines = [f'# The columns of "{table.title}", as methods.', dump_line("dataset", dataset)]
    if table.network:
        lines.append(dump_line("network", spell_out(table.network)))
    lines += ["method:", *(f"  - {dump_line('method', entry).removeprefix('method: ')}" for entry in entries)]
    return "\n".join([*lines, f"protocol: {label}", ""])


def _write_column(column: TableColumn, protocol: Protocol) -> Iterator[Any]:
    """Yield the methods of a column as recipes write them; of several procedures only the first has its header."""
    for number, variant in enumerate(column.variants):
        name = method_name(variant.method)
        changes = changed_values(protocol, variant.under(protocol).protocol)
        if name == column.header and not changes:
            yield name
            continue
        label = {} if number else {"label": column.header}
        yield label | {"method": name} | ({"protocol": changes} if changes else {})
