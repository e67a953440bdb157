"""The format of recipes, described once: the keys that loading allows, with the JSON Schema of their values."""

import re
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from asymbp_cli.datasets.catalog import CATALOG, FolderSource
from asymbp_cli.recipe.document import SHORTHANDS as SHORTHANDS
from asymbp_cli.recipe.networks import INPUT, NETWORKS, WrittenNetwork
from asymbp_cli.specs.feedback import Feedback
from asymbp_cli.specs.layers import LAYERS
from asymbp_cli.specs.methods import METHOD_NAME, PAPER_METHODS, UPDATES, Method
from asymbp_cli.specs.modules import WhichWeights
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.references import by_short_name
from asymbp_cli.specs.schemes import SCHEMES

Schema = dict[str, Any]
LARGEST_SEED = 10**18 - 1  # larger ones are no whole numbers to YAML
#: key -> the schema of its values, with a description
Keys = dict[str, Schema]


def match_any_case(*patterns: re.Pattern[str]) -> str:
    """Return the pattern, as JSON Schema has them, of text that one of several patterns matches."""
    texts = [re.sub(r"\(\?P<\w+>", "(?:", pattern.pattern) for pattern in patterns]
    parts = re.compile(r"\\.|\(\?:|\[[^]]*\]|[a-z]")
    spelled = [parts.sub(lambda part: _spell(part[0]), text) for text in texts]
    return rf"^\s*(?:{'|'.join(spelled)})\s*$"


def _spell(part: str) -> str:
    """Return a letter of a pattern, or a set of letters, in both cases; other parts as they are."""
    if len(part) == 1:
        return f"[{part.upper()}{part}]"
    return part.replace("a-z", "A-Za-z") if part[0] == "[" else part


def fields_of(model: type[BaseModel]) -> Keys:
    """Return the keys of a model; the docstrings below its fields are their descriptions."""
    schema = model.model_json_schema(ref_template="#/$defs/{model}")
    definitions = schema.get("$defs", {})
    DEFINITIONS.update({name: definitions[name] for name in definitions if name != "Feedback"})
    return dict(schema["properties"])


def describe(keys: Keys, descriptions: Mapping[str, str]) -> Keys:
    """Return keys with descriptions that their model does not have."""
    return {
        key: schema | {"description": descriptions[key]} if key in descriptions else schema
        for key, schema in keys.items()
    }


#: text that a table can print
LABEL_PATTERN = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f]*$"


def text_of(
    description: str = "", examples: Mapping[str, Any] | tuple[str, ...] = (), pattern: str = ""
) -> Schema:
    """Return the schema of text."""
    schema: Schema = {"type": "string"}
    if examples:
        schema["examples"] = list(examples)
    if pattern:
        schema["pattern"] = pattern
    return schema | {"description": description} if description else schema


def mapping_of(keys: Keys, required: tuple[str, ...] = ()) -> Schema:
    """Return the schema of a mapping with these keys only."""
    schema: Schema = {"type": "object", "properties": keys, "additionalProperties": False}
    return schema | {"required": list(required)} if required else schema


def any_of(description: str, *schemas: Schema) -> Schema:
    """Return the schema of a value that fits one of several."""
    return {"anyOf": list(schemas), "description": description}


def one_or_more(description: str, item: Schema) -> Schema:
    """Return the schema of a value, or of a list of them."""
    return any_of(description, item, {"type": "array", "items": item, "minItems": 1})


#: of the names of methods, and of layers
METHOD_PATTERN, LAYER_PATTERN = match_any_case(METHOD_NAME), match_any_case(*LAYERS)

#: models that several keys share
DEFINITIONS: Schema = {}

#: what a folder or archive of images may say
FOLDER_KEYS: Keys = describe(
    fields_of(FolderSource),
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
    **describe(fields_of(WrittenNetwork), {"activation": "After every convolution and FC layer but the last."}),
    "input": any_of(
        "Height x width x channels of images (28x28x1), or the number of features of vectors (1845).",
        text_of(examples=("28x28x1",), pattern=INPUT.pattern),
        {"type": "integer", "minimum": 1},
        {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1},
    ),
    "layers": {
        "type": "array",
        "items": text_of(pattern=LAYER_PATTERN),
        "minItems": 1,
        "description": "In the notation of Table 1: Conv 5x5x20/1 pad 2, Max 2x2/2, FC classes.",
    },
}


def make_feedback_keys() -> Keys:
    """Return the keys of `feedback` as a mapping; the parameters of plugins' schemes have no description."""
    numbers = {name: {"type": "number"} for scheme in SCHEMES.values() for name in scheme.numbers}
    return {
        **fields_of(Feedback),
        "scheme": text_of(
            "A scheme, in upper or lower case (asymbp ls schemes). `brsf-p` is brsf, and `frsf-p` frsf.",
            examples=(*by_short_name(SCHEMES), "brsf-p", "frsf-p"),
        ),
        **numbers,
    }


def make_method_keys() -> Keys:
    """Return the keys that spell a method out."""
    feedback, fields = mapping_of(make_feedback_keys()), fields_of(Method)
    names = list(by_short_name(UPDATES))
    return {
        **fields,
        "feedback": any_of(
            "A scheme's name, a mapping with it and its parameters, or a list: one for each layer but the first.",
            text_of(examples=tuple(by_short_name(SCHEMES))),
            feedback,
            {"type": "array", "items": {"anyOf": [{"type": "string"}, feedback]}, "minItems": 1},
        ),
        "update": fields["update"] | {"enum": ["sgd", "bm", *names[1:]]},
    }


def make_entry_keys() -> Keys:
    """Return the keys of a member of the list `method`."""
    protocol = mapping_of(fields_of(Protocol))
    return {
        "label": text_of(
            "Its column's header. Default: the method's name, and what its protocol changes.",
            pattern=LABEL_PATTERN,
        ),
        "method": text_of("As in the headers of the paper's tables (asymbp ls methods).", pattern=METHOD_PATTERN),
        **make_method_keys(),
        "protocol": protocol | {"description": "Values that differ from the recipe's protocol."},
    }


def make_network() -> Schema:
    """Return the schema of a network where another file names it or spells it out."""
    return {
        "anyOf": [
            text_of(examples=(*NETWORKS, "path/to/network.yaml")),
            mapping_of(NETWORK_KEYS, ("input", "layers")),
        ]
    }


def make_recipe_keys() -> Keys:
    """Return the keys of a recipe."""
    return {
        "title": text_of("Above the table. Default: the file's name.", pattern=LABEL_PATTERN),
        "dataset": one_or_more(
            "A name (asymbp ls datasets), the path of a folder or archive of images, a mapping, or a list.",
            {"anyOf": [text_of(examples=(*CATALOG, "path/to/images.tar")), mapping_of(FOLDER_KEYS, ("folder",))]},
        ),
        "network": one_or_more(
            "A name (asymbp ls networks), a file, a mapping, or a list: one row each. Default: the paper's.",
            make_network(),
        ),
        "method": one_or_more(
            "A name as in the paper's tables (asymbp ls methods), a mapping, or a list: one column each.",
            {"anyOf": [text_of(examples=PAPER_METHODS, pattern=METHOD_PATTERN), mapping_of(make_entry_keys())]},
        ),
        **make_method_keys(),
        "protocol": any_of(
            "A name (asymbp ls protocols), a file, or a mapping that extends one of these.",
            text_of(examples=("paper", "quick", "demo", "matconvnet")),
            mapping_of(
                {"extends": text_of("paper (the default), quick, demo, or a file."), **fields_of(Protocol)}
            ),
        ),
        "seed": one_or_more(
            "A whole number, or a list: the runs are repeated.",
            {"type": "integer", "minimum": 0, "maximum": LARGEST_SEED},
        ),
        "keep_weights": {
            "enum": list(get_args(WhichWeights)),
            "description": "Keep the weights of each run, of its best or its last epoch. Default: none are kept.",
        },
    }


#: of recipes without plugins: the keys that loading allows, and the documentation lists
FEEDBACK_KEYS, METHOD_KEYS, PROTOCOL_KEYS = make_feedback_keys(), make_method_keys(), fields_of(Protocol)
METHOD_ENTRY_KEYS, RECIPE_KEYS = make_entry_keys(), make_recipe_keys()
