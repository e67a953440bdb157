"""The JSON Schema of recipes as users write them, so that editors complete and check them."""

from typing import Any

from asymbp_cli.datasets.catalog import CATALOG, FolderSource
from asymbp_cli.specs.methods import PAPER_METHODS, Feedback, Method
from asymbp_cli.specs.networks import NETWORKS
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.schemes import SCHEMES

Schema = dict[str, Any]


def recipe_schema() -> Schema:
    """Return the schema (draft 2020-12)."""
    definitions: Schema = {}
    protocol = _fields(Protocol, definitions)
    method = _method(definitions)
    protocol_schema = _mapping(
        protocol | {"extends": {"type": "string", "description": "paper, quick, demo, or a file"}}
    )
    entry = _mapping(
        method | {"label": {"type": "string"}, "method": {"type": "string"}, "protocol": _mapping(protocol)}
    )
    folder = _mapping(_fields(FolderSource, definitions)) | {"required": ["folder"]}
    dataset = {"anyOf": [{"type": "string", "examples": [*CATALOG, "path/to/images.tar"]}, folder]}
    layers = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    size = {
        "anyOf": [{"type": "string", "examples": ["28x28x1"]}, {"type": "integer"}, _list({"type": "integer"})]
    }
    network = _mapping({"input": size, "layers": layers}) | {"required": ["input", "layers"]}
    seed = {"type": "integer", "minimum": 0}
    properties = {
        "title": {"type": "string"},
        "dataset": _one_or_more(dataset) | {"description": "name, path, or a list (asymbp ls datasets)"},
        "network": {"anyOf": [{"type": "string", "examples": list(NETWORKS)}, network]},
        "method": _one_or_more({"anyOf": [{"type": "string", "examples": list(PAPER_METHODS)}, entry]}),
        **method,
        "protocol": {"anyOf": [{"type": "string", "examples": ["paper", "quick", "demo"]}, protocol_schema]},
        "seed": _one_or_more(seed),
    }
    spelled = [{"required": ["method"]}, *({"required": [key]} for key in method)]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "asymbp recipe",
        **_mapping(properties),
        "required": ["dataset", "protocol"],
        "anyOf": spelled,
        "$defs": definitions,
    }


def _method(definitions: Schema) -> Schema:
    fields = _fields(Method, definitions)
    feedback = _fields(Feedback, definitions)
    feedback["scheme"] = {"type": "string", "examples": [*SCHEMES, "brsf-p", "frsf-p"]}
    fields["feedback"] = {"anyOf": [{"type": "string", "examples": list(SCHEMES)}, _mapping(feedback)]}
    fields["update"] = fields["update"] | {"enum": ["sgd", "bm", "bm1", "bm2", "bm3"]}
    definitions.pop("Feedback", None)
    return fields


def _fields(model: Any, definitions: Schema) -> Schema:
    """Return the schemas of a model's fields with the docstrings below them as descriptions."""
    schema = model.model_json_schema(ref_template="#/$defs/{model}")
    definitions |= schema.get("$defs", {})
    properties: Schema = schema["properties"]
    return properties


def _mapping(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1}


def _one_or_more(item: Schema) -> Schema:
    return {"anyOf": [item, _list(item)]}
