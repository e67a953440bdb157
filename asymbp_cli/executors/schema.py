"""The JSON Schema of files of executors."""

from typing import Any

from asymbp_cli.executors.registry import EXECUTORS
from asymbp_cli.recipe.schemas import complete_schema


def executor_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of files of executors: one form for each."""
    definitions: dict[str, Any] = {}
    forms = []
    for name, kind in EXECUTORS.items():
        form = kind.options.model_json_schema()
        definitions |= form.pop("$defs", {})
        form["properties"]["executor"] = {"const": name}
        forms.append(form | {"required": ["executor"], "patternProperties": {"^x-": {}}})
    return complete_schema("executor", {"anyOf": forms, "$defs": definitions})
