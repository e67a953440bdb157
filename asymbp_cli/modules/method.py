"""What `convert` is asked for: names and specs -> a `Feedback`. No torch."""

from collections.abc import Sequence

from pydantic import ValidationError

from asymbp_cli.errors import UsageError
from asymbp_cli.specs.feedback import Feedback, LayerFeedback, feedback_name
from asymbp_cli.specs.methods import Method, method_name, parse_method

#: the name of a scheme, or its spec
Named = str | LayerFeedback | Method


def read_feedback(method: Named | Sequence[Named]) -> Feedback:
    """Return the feedback of a method, or `mixed` of several, one for each layer but the first.

    Raises UsageError if a method has normalization, an update rule or trained layers of its own.
    """
    if isinstance(method, str | LayerFeedback | Method):
        feedback = _read_one(method)
        return feedback if isinstance(feedback, Feedback) else Feedback.model_validate(feedback.model_dump())
    if not isinstance(method, list | tuple):
        raise UsageError(f'a method is a name such as "uSF", a Feedback, or a list of them, not {method!r}')
    parts = [_read_one(part) for part in method]
    try:
        layers = [LayerFeedback.model_validate(part.model_dump(exclude={"layers"})) for part in parts]
        return Feedback(scheme="mixed", layers=tuple(layers))
    except ValidationError as error:
        raise UsageError(f"a list of methods: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def _read_one(method: Named) -> LayerFeedback:
    if isinstance(method, LayerFeedback):
        return method
    parsed = parse_method(method) if isinstance(method, str) else method
    if parsed != Method(feedback=parsed.feedback):
        name = method if isinstance(method, str) else method_name(method)
        raise UsageError(
            f'"{name}" is more than feedback. Write "{feedback_name(parsed.feedback)}". BN is a layer of your '
            "module, BM your optimizer, and Top or Bottom are the parameters that you give it"
        )
    return parsed.feedback
