"""The format of recipes, described once: the keys that loading allows, and the JSON Schema for editors."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from asymbp_cli.datasets.catalog import CATALOG, FolderSource
from asymbp_cli.recipe.networks import NETWORKS, WrittenNetwork
from asymbp_cli.specs.methods import PAPER_METHODS, Feedback, Method
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.schemes import SCHEMES

Schema = dict[str, Any]
#: key -> the schema of its values, with a description
Keys = dict[str, Schema]

#: key of a recipe -> the key below it that plain text sets: `protocol: demo` is {extends: demo}
SHORTHANDS = {"protocol": "extends", "feedback": "scheme"}


def recipe_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of recipes."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "asymbp recipe",
        **_mapping(RECIPE_KEYS),
        "required": ["dataset", "protocol"],
        "anyOf": [{"required": [key]} for key in ("method", *METHOD_KEYS)],
        "$defs": _DEFINITIONS,
    }


def _fields(model: type[BaseModel]) -> Keys:
    """Return the keys of a model; the docstrings below its fields are their descriptions."""
    schema = model.model_json_schema(ref_template="#/$defs/{model}")
    for name, definition in schema.get("$defs", {}).items():
        _DEFINITIONS.setdefault(name, definition)
    return dict(schema["properties"])


def _described(keys: Keys, descriptions: Mapping[str, str]) -> Keys:
    """Return keys with descriptions that their model does not have."""
    return {
        key: schema | {"description": descriptions[key]} if key in descriptions else schema
        for key, schema in keys.items()
    }


def _text(description: str = "", examples: Mapping[str, Any] | tuple[str, ...] = ()) -> Schema:
    schema: Schema = {"type": "string"}
    if examples:
        schema["examples"] = list(examples)
    return schema | {"description": description} if description else schema


def _mapping(keys: Keys, required: tuple[str, ...] = ()) -> Schema:
    schema: Schema = {"type": "object", "properties": keys, "additionalProperties": False}
    return schema | {"required": list(required)} if required else schema


def _any_of(description: str, *schemas: Schema) -> Schema:
    return {"anyOf": list(schemas), "description": description}


def _one_or_more(description: str, item: Schema) -> Schema:
    return _any_of(description, item, {"type": "array", "items": item, "minItems": 1})


#: models that several keys share
_DEFINITIONS: Schema = {}

#: what a folder or archive of images may say
FOLDER_KEYS: Keys = _described(
    _fields(FolderSource),
    {
        "folder": "The path of a folder, .tar, .tar.gz, .tar.xz or .zip of images.",
        "train_per_class": "Images per class to train on, if the folder is not split into train/ and test/.",
        "test_per_class": "Images per class to test on.",
        "test_fraction": "The share of each class to test on, instead of counts.",
        "seed": "The seed of that split.",
        "label": "The name of its row. Default: the folder's.",
    },
)

NETWORK_KEYS: Keys = {
    **_described(
        _fields(WrittenNetwork),
        {
            "layers": "In the notation of Table 1: Conv 5x5x20/1 pad 2, Max 2x2/2, FC classes.",
            "activation": "After every convolution and FC layer but the last.",
        },
    ),
    "input": _any_of(
        "Height x width x channels of images (28x28x1), or the number of features of vectors (1845).",
        _text(examples=("28x28x1",)),
        {"type": "integer"},
        {"type": "array", "items": {"type": "integer"}, "minItems": 1},
    ),
}

FEEDBACK_KEYS: Keys = {
    **_fields(Feedback),
    "scheme": _text(
        "A scheme, in upper or lower case (asymbp ls schemes). `brsf-p` is brsf, and `frsf-p` frsf.",
        examples=(*SCHEMES, "brsf-p", "frsf-p"),
    ),
}

_METHOD_FIELDS = _fields(Method)
#: what spells a method out
METHOD_KEYS: Keys = {
    **_METHOD_FIELDS,
    "feedback": _any_of(
        "A scheme's name, a mapping with it and its parameters, or a list: one for each layer but the first.",
        _text(examples=SCHEMES),
        _mapping(FEEDBACK_KEYS),
        {"type": "array", "items": {"anyOf": [{"type": "string"}, _mapping(FEEDBACK_KEYS)]}, "minItems": 1},
    ),
    "update": _METHOD_FIELDS["update"] | {"enum": ["sgd", "bm", "bm1", "bm2", "bm3"]},  # bm is bm1
}
_DEFINITIONS.pop("Feedback")  # which FEEDBACK_KEYS replace

PROTOCOL_KEYS: Keys = _fields(Protocol)

#: what a member of the list `method` may say
METHOD_ENTRY_KEYS: Keys = {
    "label": _text("Its column's header. Default: the method's name, and what its protocol changes."),
    "method": _text("As in the headers of the paper's tables (asymbp ls methods)."),
    **METHOD_KEYS,
    "protocol": _mapping(PROTOCOL_KEYS) | {"description": "Values that differ from the recipe's protocol."},
}

RECIPE_KEYS: Keys = {
    "title": _text("Above the table. Default: the file's name."),
    "dataset": _one_or_more(
        "A name (asymbp ls datasets), the path of a folder or archive of images, a mapping, or a list.",
        {"anyOf": [_text(examples=(*CATALOG, "path/to/images.tar")), _mapping(FOLDER_KEYS, ("folder",))]},
    ),
    "network": _any_of(
        "A name (asymbp ls networks), a file, or a mapping. Default: the paper's network for each dataset.",
        _text(examples=(*NETWORKS, "path/to/network.yaml")),
        _mapping(NETWORK_KEYS, ("input", "layers")),
    ),
    "method": _one_or_more(
        "A name as in the paper's tables (asymbp ls methods), a mapping, or a list: one column each.",
        {"anyOf": [_text(examples=PAPER_METHODS), _mapping(METHOD_ENTRY_KEYS)]},
    ),
    **METHOD_KEYS,
    "protocol": _any_of(
        "A name (asymbp ls protocols), a file, or a mapping that extends one of these.",
        _text(examples=("paper", "quick", "demo", "matconvnet")),
        _mapping({"extends": _text("paper (the default), quick, demo, or a file."), **PROTOCOL_KEYS}),
    ),
    "seed": _one_or_more("A whole number, or a list: the runs are repeated.", {"type": "integer", "minimum": 0}),
}
