"""The methods of a recipe: by name, or spelled out, each under the recipe's protocol or changes of it."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from asymbp_cli.recipe.document import Node
from asymbp_cli.recipe.format import METHOD_ENTRY_KEYS, METHOD_KEYS
from asymbp_cli.recipe.procedure import Procedure, label_changes
from asymbp_cli.recipe.wording import describe_unknown_key, quote
from asymbp_cli.specs.base import Spec, is_label
from asymbp_cli.specs.methods import Feedback, Method, method_name, parse_method
from asymbp_cli.specs.protocol import SHARED_FIELDS, Protocol
from asymbp_cli.specs.references import check_registered, is_reference
from asymbp_cli.specs.schemes import SCHEMES, find_scheme


class RecipeMethod(Spec):
    """A column of a recipe."""

    label: str
    procedure: Procedure


def read_methods(recipe: Node, protocol: Protocol) -> list[RecipeMethod]:
    """Return the methods that a recipe with `protocol` names or spells out; problems are noted."""
    spelled_out = recipe.select(METHOD_KEYS)
    if "method" in recipe:
        if spelled_out.value:
            keys = ", ".join(spelled_out.value)
            recipe[next(iter(spelled_out.value))].note(f"method and {keys} exclude each other. Leave one side out")
        if recipe["method"].value == []:
            recipe["method"].note("must name at least one method (asymbp ls methods)")
        nodes = recipe["method"].items()
    elif spelled_out.value:
        nodes = [spelled_out]
    else:
        recipe.note("names no method. Write method: uSF+BN+BM, or feedback: usf (asymbp ls methods)")
        return []
    methods = [method for node in nodes if (method := _read_entry(node, protocol))]
    for label, count in Counter(method.label for method in methods).items():
        if count > 1:
            recipe["method"].note(f'two methods are called "{label}". Give one of them a label')
    return methods


def _read_entry(node: Node, protocol: Protocol) -> RecipeMethod | None:
    """Read one entry of `method`: a name, or a mapping."""
    if isinstance(node.value, str):
        method = node.attempt(parse_method, node.value)
        return _label(method_name(method), method, protocol) if method else None
    if not node.has_only(METHOD_ENTRY_KEYS):
        return None
    spelled_out = node.select(METHOD_KEYS)
    if "method" in node and spelled_out.value:
        node.note(f"has both method and {', '.join(spelled_out.value)}. Leave one out")
        return None
    method = _read_name(node["method"]) if "method" in node else _read_spelled_out(spelled_out)
    own = _read_changes(node.get("protocol", {}), protocol)
    if method is None or own is None:
        return None
    label = node.get("label", method_name(method) + label_changes(protocol, own))
    if not is_label(label.value):
        label.note(f"must be text on one line, not {quote(label.value)}")
        return None
    return _label(label.value, method, own)


def _label(label: str, method: Method, protocol: Protocol) -> RecipeMethod:
    return RecipeMethod(label=label, procedure=Procedure(method=method, protocol=protocol))


def _read_changes(node: Node, protocol: Protocol) -> Protocol | None:
    """Return the recipe's protocol with a method's own values; the mapping may be empty."""
    if not node.is_mapping or "extends" in node:
        node.note("must be a mapping of the values that differ from the recipe's protocol")
        return None
    for key in SHARED_FIELDS:
        if key in node:
            node[key].note("must be the same for all methods. Set it in the recipe's protocol")
    return node.attempt(Protocol.model_validate, protocol.model_dump() | dict(node.value))


def _read_name(node: Node) -> Method | None:
    if not isinstance(node.value, str):
        node.note(f"must be a name, not {quote(node.value)} (asymbp ls methods)")
        return None
    return node.attempt(parse_method, node.value)


def _read_spelled_out(node: Node) -> Method | None:
    content: dict[str, Any] = dict(node.value)
    if content.get("update") == "bm":
        content["update"] = "bm1"
    if "feedback" in content:
        content["feedback"] = _read_feedback(node["feedback"])
        if content["feedback"] is None:
            return None
    method = node.attempt(Method.model_validate, content)
    if method:
        node["update"].attempt(check_registered, [method.update])
    return method


def _read_feedback(node: Node) -> Feedback | None:
    """Return feedback from its scheme's name, a mapping, or a list with one of these for each layer but the first.

    `brsf-p` is brsf with its flip probability.
    """
    if isinstance(node.value, list):
        layers = [_read_feedback(item) for item in node.items()]
        if None in layers:
            return None
        inner = [layer.model_dump(exclude={"layers"}) for layer in layers if layer]
        return node.attempt(Feedback.model_validate, {"scheme": "mixed", "layers": inner})
    if "layers" in node and node.value.get("scheme") == "mixed" and isinstance(node["layers"].value, list):
        return _read_feedback(node["layers"])
    content = dict(node.value) if isinstance(node.value, Mapping) else {"scheme": node.value}
    scheme = content.get("scheme", "bp")
    key = (node["scheme"] if node.is_mapping else node).attempt(find_scheme, scheme)
    if key is None:
        content = {name: value for name, value in content.items() if name in Feedback.model_fields}  # no plugin's
        content["scheme"] = _any_scheme_for(content)
        node.attempt(Feedback.model_validate, content)  # so that the other values are checked too
        return None
    content["scheme"] = key
    if str(scheme).lower().endswith("-p") and "flip_probability" not in content:
        node.note(f"{scheme} needs its probability. Write {{scheme: brsf, flip_probability: 0.25}}")
    return node.attempt(Feedback.model_validate, content) if _gather_numbers(node, content) else None


def _gather_numbers(node: Node, content: dict[str, Any]) -> bool:
    """Move the parameters of a plugin's scheme in `content` to its numbers; return whether it takes them."""
    if not is_reference(content["scheme"]):
        return True
    scheme = SCHEMES[content["scheme"]]
    written = {name: content.pop(name) for name in scheme.numbers if name in content}
    checked = [node[name].attempt(scheme.numbers[name].check, value) for name, value in written.items()]
    unknown = [name for name in content if name not in Feedback.model_fields]
    for name in unknown:
        node[name].note(describe_unknown_key(name, ["scheme", *scheme.takes]))
    if isinstance(given := content.get("numbers", {}), Mapping):
        content["numbers"] = {**given, **written}
    return not unknown and None not in checked


def _any_scheme_for(content: Mapping[str, Any]) -> str:
    """Return a scheme that takes the parameters in `content`; any if none takes them all."""
    parameters = content.keys() - {"scheme"}
    return next((key for key, scheme in SCHEMES.items() if parameters <= set(scheme.parameters)), "bp")
