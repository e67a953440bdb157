"""The format of recipes, described once: the keys that loading allows, and the JSON Schema for editors."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from asymbp_cli.datasets.catalog import CATALOG, FolderSource
from asymbp_cli.recipe.document import SHORTHANDS as SHORTHANDS
from asymbp_cli.recipe.networks import NETWORKS, WrittenNetwork
from asymbp_cli.specs.methods import PAPER_METHODS, UPDATES, Feedback, Method
from asymbp_cli.specs.modules import WhichWeights
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.references import by_short_name
from asymbp_cli.specs.schemes import SCHEMES

Schema = dict[str, Any]
#: key -> the schema of its values, with a description
Keys = dict[str, Schema]


def recipe_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of recipes, with the names that plugins have added."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "asymbp recipe",
        **_mapping(make_recipe_keys()),
        "required": ["dataset", "protocol"],
        "anyOf": [{"required": [key]} for key in ("method", *METHOD_KEYS)],
        "$defs": _DEFINITIONS,
    }


def _fields(model: type[BaseModel]) -> Keys:
    """Return the keys of a model; the docstrings below its fields are their descriptions."""
    schema = model.model_json_schema(ref_template="#/$defs/{model}")
    definitions = schema.get("$defs", {})
    _DEFINITIONS.update({name: definitions[name] for name in definitions if name != "Feedback"})
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


def make_feedback_keys() -> Keys:
    """Return the keys of `feedback` as a mapping; the parameters of plugins' schemes have no description."""
    numbers = {name: {"type": "number"} for scheme in SCHEMES.values() for name in scheme.numbers}
    return {
        **_fields(Feedback),
        "scheme": _text(
            "A scheme, in upper or lower case (asymbp ls schemes). `brsf-p` is brsf, and `frsf-p` frsf.",
            examples=(*by_short_name(SCHEMES), "brsf-p", "frsf-p"),
        ),
        **numbers,
    }


def make_method_keys() -> Keys:
    """Return the keys that spell a method out."""
    feedback, fields = _mapping(make_feedback_keys()), _fields(Method)
    names = list(by_short_name(UPDATES))
    return {
        **fields,
        "feedback": _any_of(
            "A scheme's name, a mapping with it and its parameters, or a list: one for each layer but the first.",
            _text(examples=tuple(by_short_name(SCHEMES))),
            feedback,
            {"type": "array", "items": {"anyOf": [{"type": "string"}, feedback]}, "minItems": 1},
        ),
        "update": fields["update"] | {"enum": ["sgd", "bm", *names[1:]]},
    }


def make_entry_keys() -> Keys:
    """Return the keys of a member of the list `method`."""
    protocol = _mapping(_fields(Protocol))
    return {
        "label": _text("Its column's header. Default: the method's name, and what its protocol changes."),
        "method": _text("As in the headers of the paper's tables (asymbp ls methods)."),
        **make_method_keys(),
        "protocol": protocol | {"description": "Values that differ from the recipe's protocol."},
    }


def make_recipe_keys() -> Keys:
    """Return the keys of a recipe."""
    return {
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
            {"anyOf": [_text(examples=PAPER_METHODS), _mapping(make_entry_keys())]},
        ),
        **make_method_keys(),
        "protocol": _any_of(
            "A name (asymbp ls protocols), a file, or a mapping that extends one of these.",
            _text(examples=("paper", "quick", "demo", "matconvnet")),
            _mapping({"extends": _text("paper (the default), quick, demo, or a file."), **_fields(Protocol)}),
        ),
        "seed": _one_or_more(
            "A whole number, or a list: the runs are repeated.", {"type": "integer", "minimum": 0}
        ),
        "keep_weights": {
            "enum": list(get_args(WhichWeights)),
            "description": "Keep the weights of each run, of its best or its last epoch. Default: none are kept.",
        },
    }


#: of recipes without plugins: the keys that loading allows, and the documentation lists
FEEDBACK_KEYS, METHOD_KEYS, PROTOCOL_KEYS = make_feedback_keys(), make_method_keys(), _fields(Protocol)
METHOD_ENTRY_KEYS, RECIPE_KEYS = make_entry_keys(), make_recipe_keys()
