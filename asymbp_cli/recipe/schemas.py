"""The JSON Schemas of what users write, with which editors complete and check files."""

import json
from collections.abc import Callable
from typing import Any

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.recipe.format import (
    DEFINITIONS,
    LABEL_PATTERN,
    METHOD_KEYS,
    METHOD_PATTERN,
    NETWORK_KEYS,
    PROTOCOL_KEYS,
    Keys,
    Schema,
    fields_of,
    make_network,
    make_recipe_keys,
    mapping_of,
    text_of,
)
from asymbp_cli.recipe.networks import NetworkFile
from asymbp_cli.recipe.table import FIXED_FIELDS, TABLE_KEYS
from asymbp_cli.specs.methods import PAPER_METHODS
from asymbp_cli.specs.protocol import Protocol

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def complete_schema(kind: str, schema: Schema) -> Schema:
    """Return the schema of a kind of files, with the models that it refers to.

    Keys that begin with `x-` may hold values with names (`x-base: &base ...`), for use elsewhere.
    """
    found: Schema = {"$schema": _DRAFT, "title": f"asymbp {kind}", **schema, "patternProperties": {"^x-": {}}}
    text = ""
    while text != (text := json.dumps(found)):
        used = {name: model for name, model in DEFINITIONS.items() if f'"#/$defs/{name}"' in text}
        found = found | ({"$defs": used} if used else {})
    return found


def recipe_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of recipes, with the names that plugins have added."""
    methods = {"anyOf": [{"required": [key]} for key in ("method", *METHOD_KEYS)]}
    return complete_schema("recipe", mapping_of(make_recipe_keys(), ("dataset", "protocol")) | methods)


def protocol_schema() -> Schema:
    """Return the JSON Schema of protocols, with the names that plugins have added."""
    extends = text_of("What it starts from: a name (asymbp ls protocols) or a file. Default: paper.")
    return complete_schema("protocol", mapping_of({"extends": extends, **fields_of(Protocol)}))


def network_schema() -> Schema:
    """Return the JSON Schema of networks."""
    keys: Keys = {
        **NETWORK_KEYS,
        "used_by": text_of("The datasets that it is for, in words."),
        "classes": _count("The classes that asymbp reproduce --table 1 counts weights for. Default: 10."),
        "column": _count("Its column in the paper's Table 1, which orders them."),
    }
    assert keys.keys() == NetworkFile.model_fields.keys()
    return complete_schema("network", mapping_of(keys, ("input", "layers")))


def _count(description: str) -> Schema:
    return {"type": "integer", "minimum": 1, "description": description}


def table_schema() -> Schema:
    """Return the JSON Schema of tables."""
    keys: Keys = {
        "title": text_of("Above the table.", pattern=LABEL_PATTERN),
        "kind": {"enum": ["networks", "errors"], "description": "`errors` (default), or `networks`: Table 1."},
        "datasets": {
            "type": "array",
            "items": {"enum": list(CATALOG)},
            "description": "What `--dataset all` stands for (asymbp ls datasets).",
        },
        "columns": {
            "type": "array",
            "items": {"anyOf": [_method(), *_columns()]},
            "description": "One per method.",
        },
        "baseline": _method("The method that colours compare with. Default: SGD."),
        "reference": text_of("The file of the paper's numbers; only the tool's own tables have one."),
        "network": make_network() | {"description": "Of all datasets. Default: the paper's for each."},
        "protocol": text_of("What it is trained with unless another one is asked for (asymbp ls protocols)."),
        "published": text_of("The file of the numbers of another paper; only the tool's own tables have one."),
    }
    assert keys.keys() == set(TABLE_KEYS)
    is_whole: dict[str, Any] = {
        "anyOf": [{"required": ["columns"]}, {"required": ["kind"], "properties": {"kind": {"const": "networks"}}}]
    }
    return complete_schema("table", mapping_of(keys, ("title",)) | is_whole)


def _method(description: str = "") -> Schema:
    return text_of(description, PAPER_METHODS, METHOD_PATTERN)


def _columns() -> tuple[Schema, Schema]:
    """Return the schemas of a column: with a method, or with several runs of which the best counts."""
    own = {key: schema for key, schema in PROTOCOL_KEYS.items() if key not in FIXED_FIELDS}
    run: Keys = {
        "header": text_of("Above the column. Default: the method.", pattern=LABEL_PATTERN),
        "method": _method("As in the headers of the paper's tables (asymbp ls methods)."),
        "protocol": mapping_of(own) | {"description": "Values that differ from the table's protocol."},
        "grow_before_rate_drops": {
            "type": "boolean",
            "description": "No batch size begins in an epoch in which the rate drops. It begins before.",
        },
    }
    runs: Keys = {
        "header": run["header"],
        "runs": {"type": "array", "items": mapping_of(run, ("method",)), "minItems": 1},
    }
    return mapping_of(run, ("method",)), mapping_of(runs, ("header", "runs"))


#: kind of file -> what makes its schema
SCHEMAS: dict[str, Callable[[], Schema]] = {
    "recipe": recipe_schema,
    "table": table_schema,
    "protocol": protocol_schema,
    "network": network_schema,
}
