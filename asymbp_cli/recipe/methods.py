"""The methods of a recipe: by name, or spelled out, each under the recipe's protocol or changes of it."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from asymbp_cli.recipe.document import Node
from asymbp_cli.recipe.format import FEEDBACK_KEYS, METHOD_ENTRY_KEYS, METHOD_KEYS
from asymbp_cli.recipe.procedure import Procedure, label_changes
from asymbp_cli.recipe.wording import describe_no_label, quote
from asymbp_cli.specs.base import Spec, is_label
from asymbp_cli.specs.feedback import Feedback, LayerFeedback, describe_owners
from asymbp_cli.specs.methods import Method, method_name, parse_method
from asymbp_cli.specs.protocol import SHARED_FIELDS, Protocol
from asymbp_cli.specs.references import check_registered, is_reference
from asymbp_cli.specs.schemes import SCHEMES, find_scheme


class RecipeMethod(Spec):
    """A column of a recipe."""

    label: str
    procedure: Procedure


def read_methods(recipe: Node, protocol: Protocol) -> list[RecipeMethod]:
    """Return the methods that a recipe with `protocol` names or spells out; problems are noted."""
    _check_values(recipe, recipe.value)
    spelled_out = recipe.select(METHOD_KEYS)
    named = recipe["method"]
    keys = ", ".join(spelled_out.value)
    if named.value is None and "method" in recipe and keys:
        named.note(f"has no value, and the method is in {keys}. Delete the line")
    elif named.value is None and not keys:
        named.note("is missing. Write for instance method: uSF+BN+BM, or feedback: usf (asymbp ls methods)")
        return []
    elif "method" in recipe and keys:
        recipe[next(iter(spelled_out.value))].note(f"method and {keys} exclude each other. Leave one side out")
        _read_spelled_out(spelled_out)
    if named.value == []:
        named.note("must name at least one method (asymbp ls methods)")
    nodes = [spelled_out] if named.value is None else named.items()
    methods = [method for node in nodes if (method := _read_entry(node, protocol))]
    for label, count in Counter(method.label for method in methods).items():
        if count > 1:
            named.note(f'two methods are called "{label}". Give one of them a label')
    return methods


def _read_entry(node: Node, protocol: Protocol) -> RecipeMethod | None:
    """Return the method of one entry: a name, or a mapping; None if it has problems, which are noted."""
    if isinstance(node.value, str):
        method = node.attempt(parse_method, node.value)
        return _label(method_name(method), method, protocol) if method else None
    before = len(node.document.problems)
    node.has_only(METHOD_ENTRY_KEYS)
    if not node.is_mapping:
        return None
    _check_values(node, node.value)
    spelled_out = node.select(METHOD_KEYS)
    if "method" in node and spelled_out.value:
        node.note(f"has both method and {', '.join(spelled_out.value)}. Leave one out")
        _read_spelled_out(spelled_out)
    method = _read_name(node["method"]) if "method" in node else _read_spelled_out(spelled_out)
    own = _read_changes(node.get("protocol", {}), protocol)
    if "label" in node and not is_label(node["label"].value):
        node["label"].note(describe_no_label(node["label"].value))
    if method is None or own is None or len(node.document.problems) > before:
        return None
    return _label(node.get("label", method_name(method) + label_changes(protocol, own)).value, method, own)


def _label(label: str, method: Method, protocol: Protocol) -> RecipeMethod:
    return RecipeMethod(label=label, procedure=Procedure(method=method, protocol=protocol))


def _read_changes(node: Node, protocol: Protocol) -> Protocol | None:
    """Return the recipe's protocol with a method's own values; the mapping may be empty."""
    if not node.is_mapping or "extends" in node:
        node.note("must be a mapping of the values that differ from the recipe's protocol")
    if not node.is_mapping:
        return None
    node.has_only((*Protocol.model_fields, "extends"))
    for key in SHARED_FIELDS:
        if key in node:
            node[key].note("must be the same for all methods. Set it in the recipe's protocol")
    changes = node.select(Protocol.model_fields).value
    return node.validate(Protocol, protocol.model_dump() | changes)


def _read_name(node: Node) -> Method | None:
    if not isinstance(node.value, str):
        node.note(f"must be a name, not {quote(node.value)} (asymbp ls methods)")
        return None
    return node.attempt(parse_method, node.value)


def _read_spelled_out(node: Node) -> Method | None:
    content: dict[str, Any] = dict(node.value)
    if content.get("update") == "bm":
        content["update"] = "bm1"
    feedback = _read_feedback(node["feedback"]) if "feedback" in content else Feedback()
    method = node.validate(Method, content | {"feedback": feedback or Feedback()})
    if method:
        node["update"].attempt(check_registered, [method.update])
    return method if feedback else None


def _read_feedback(node: Node) -> Feedback | None:
    """Return feedback from its scheme's name, a mapping, or a list with one of these for each layer but the first.

    `brsf-p` is brsf with its flip probability.
    """
    if isinstance(node.value, list):
        layers = [_read_feedback(item) for item in node.items()]
        if None in layers:
            return None
        inner = [layer.model_dump(exclude={"layers"}) for layer in layers if layer]
        return node.validate(Feedback, {"scheme": "mixed", "layers": inner})
    if "layers" in node and node.value.get("scheme") == "mixed" and isinstance(node["layers"].value, list):
        node.has_only(FEEDBACK_KEYS)
        return _read_feedback(node["layers"])
    content = dict(node.value) if isinstance(node.value, Mapping) else {"scheme": node.value}
    scheme = content.get("scheme", "bp")
    key = (node["scheme"] if node.is_mapping else node).attempt(find_scheme, scheme)
    if key is None:
        _check_values(node, content)
        return None
    before = len(node.document.problems)
    content["scheme"] = key
    if str(scheme).lower().endswith("-p") and "flip_probability" not in content:
        node.note(f"{scheme} needs its probability. Write {{scheme: brsf, flip_probability: 0.25}}")
    _gather_numbers(node, content)
    if (*node.path, "scheme") in node.document.meant:  # by a key with another name
        _check_values(node, content)
        return None
    _drop_strangers(node, content)
    feedback = node.validate(Feedback, content)
    return feedback if len(node.document.problems) == before else None


def _check_values(node: Node, content: Mapping[str, Any]) -> None:
    """Note wrong values of parameters, each for a scheme that takes it, since the scheme itself is not known."""
    for name in content.keys() & LayerFeedback.model_fields.keys() - {"scheme", "numbers"}:
        scheme = next(key for key, scheme in SCHEMES.items() if name in scheme.parameters)
        node.validate(Feedback, {"scheme": scheme, name: content[name]})


def _gather_numbers(node: Node, content: dict[str, Any]) -> None:
    """Move the parameters of a plugin's scheme in `content` to its numbers; note and delete what means nothing."""
    scheme, written = SCHEMES[content["scheme"]], {}
    for name in scheme.numbers.keys() & content.keys():
        value = content.pop(name)
        if node[name].attempt(scheme.numbers[name].check, value) is not None:
            written[name] = value
    if written and isinstance(given := content.get("numbers", {}), Mapping):
        content["numbers"] = {**given, **written}
    known = ["scheme", *scheme.takes] if is_reference(content["scheme"]) else list(FEEDBACK_KEYS)
    for name in content.keys() - Feedback.model_fields.keys():
        node.document.note_key((*node.path, name), content.pop(name), known)


def _drop_strangers(node: Node, content: dict[str, Any]) -> None:
    """Delete the parameters of other schemes from `content`, with a note if they change anything."""
    takes = ("scheme", "numbers", *SCHEMES[content["scheme"]].parameters)
    for name in [name for name in content if name in LayerFeedback.model_fields and name not in takes]:
        if content.pop(name) != LayerFeedback.model_fields[name].default:
            node[name].note(describe_owners(name, content["scheme"]))
