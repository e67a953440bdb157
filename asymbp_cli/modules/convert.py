"""`convert`: the layers of a module become asymmetric, in place."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from asymbp_cli.errors import UsageError
from asymbp_cli.modules import layers, transposed
from asymbp_cli.modules.direct import Sender, check_output
from asymbp_cli.modules.draws import Source
from asymbp_cli.modules.layers import Asymmetric
from asymbp_cli.modules.method import Named, read_feedback
from asymbp_cli.modules.rules import Exact
from asymbp_cli.modules.schemes import BUILDERS, Place, build_direct
from asymbp_cli.specs.methods import Feedback, LayerFeedback

AnyModule = TypeVar("AnyModule", bound=nn.Module)

#: layer of torch -> its asymmetric form
_FORMS: dict[type[nn.Module], type[Asymmetric]] = {
    nn.Linear: layers.AsymmetricLinear,
    nn.Conv1d: layers.AsymmetricConv1d,
    nn.Conv2d: layers.AsymmetricConv2d,
    nn.Conv3d: layers.AsymmetricConv3d,
    nn.ConvTranspose1d: transposed.AsymmetricConvTranspose1d,
    nn.ConvTranspose2d: transposed.AsymmetricConvTranspose2d,
    nn.ConvTranspose3d: transposed.AsymmetricConvTranspose3d,
}
_ANY = "Convert a part of the module without it"


class _Sizes(NamedTuple):
    """What direct feedback must know: numbers per sample of the output, and of each layer's input."""

    classes: int
    inputs: dict[str, int]


def convert(
    module: AnyModule,
    method: Named | Sequence[Named],
    seed: int = 0,
    *,
    example_input: Any = None,
    reduction: Literal["mean", "sum"] = "mean",
) -> AnyModule:
    """Make the Linear and convolution layers of `module` asymmetric, in place, and return it.

    `method` is the name of a feedback scheme (`asymbp ls schemes`), a `Feedback`, or a list with one for each
    layer but the first. Layers count in the order in which the module registers them. The first one's V is its W:
    in the paper no error passes below it. All random draws follow from `seed`.

    Direct routes (DFA, sDFA, DRTP, DKP) need an `example_input`, a tensor or a tuple of arguments. The module is
    called with it once, for the sizes. `reduction` is that of the loss over the samples. Only the sizes of the
    errors of sDFA and DRTP depend on it.

    Raises UsageError if the method asks for more than feedback, or if the module's layers cannot be converted.
    """
    feedback = read_feedback(method)
    if reduction not in ("mean", "sum"):
        raise UsageError(f'reduction is "mean" or "sum", not {reduction!r}')
    found = dict(_find_layers(module))
    if not found:
        raise UsageError("The module has no Linear or convolution layer, so that there is nothing to convert")
    _check_weights(module, found)
    fed = list(found)[1:]
    specs = _feedback_by_layer(feedback, fed)
    is_direct = feedback.kind.route != "layerwise"
    if unknown := {spec.scheme for spec in specs if not is_direct and spec.scheme not in BUILDERS}:
        raise UsageError(f"convert cannot build {', '.join(unknown)}; it builds {', '.join(BUILDERS)}")
    sizes = _measure_sizes(module, found, example_input) if is_direct else None
    for layer in found.values():
        layer.__class__ = _FORMS.get(type(layer), type(layer))
    sender = Sender(feedback.kind.route, mean=reduction == "mean")
    for number, (name, spec) in enumerate(zip(fed, specs, strict=True), start=2):
        layer = found[name]
        assert isinstance(layer, Asymmetric)
        place = Place(layer, Source(seed, number), last=name == fed[-1])
        if sizes is None:
            layer.rule = BUILDERS[spec.scheme](spec, place)
        else:
            layer.rule, layer.sender = build_direct(spec, place, sizes.classes, sizes.inputs[name]), sender
    if sizes is not None:
        sender.join(module)
    return module


def _find_layers(
    module: nn.Module, name: str = "", seen: set[nn.Module] | None = None
) -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers to convert with their names, each once, in order of registration.

    Attention uses the weights of its projections without calling them, so that they are left to it.
    """
    seen = set() if seen is None else seen
    if module in seen or isinstance(module, nn.MultiheadAttention):
        return
    seen.add(module)
    if isinstance(module, tuple(_FORMS)):
        _check_layer(name or type(module).__name__, module)
        yield name, module
        return
    for child_name, child in module.named_children():
        yield from _find_layers(child, f"{name}.{child_name}" if name else child_name, seen)


def _check_layer(name: str, layer: nn.Module) -> None:
    """Raise UsageError if a layer cannot be converted."""
    weight = layer._parameters.get("weight")
    if isinstance(layer, Asymmetric):
        if not isinstance(layer.rule, Exact):
            raise UsageError(f"{name} is converted already. Convert a new module, and load the state of this one")
    elif parametrize.is_parametrized(layer) or weight is None:
        raise UsageError(f"The weight of {name} is computed (by a parametrization, or pruned). {_ANY}")
    elif is_lazy(weight):
        raise UsageError(f"{name} has no size yet. Call the module once before convert")
    elif type(layer) not in _FORMS:
        raise UsageError(f"{name} is a {type(layer).__name__}, whose way to compute is not known. {_ANY}")
    if weight is None or weight.is_meta or not weight.is_floating_point():
        raise UsageError(f"The weight of {name} has no real values yet. Convert the module after it has them")


def _check_weights(module: nn.Module, found: dict[str, nn.Module]) -> None:
    """Raise UsageError if a weight of a layer also belongs to another module."""
    owners: dict[int, list[str]] = {}
    for name, part in module.named_modules():
        for parameter in part.parameters(recurse=False):
            owners.setdefault(id(parameter), []).append(name)
    for name, layer in found.items():
        tied = owners[id(layer.weight)]
        if len(tied) > 1:
            raise UsageError(
                f"{' and '.join(tied)} share one weight: V of {name} cannot be told apart from theirs. Give them "
                f"weights of their own, or convert a part of the module with one of them"
            )


def _feedback_by_layer(feedback: Feedback, fed: Sequence[str]) -> Sequence[LayerFeedback]:
    """Return the feedback of each layer but the first."""
    if feedback.layers:
        if len(feedback.layers) != len(fed):
            raise UsageError(
                f"{len(feedback.layers)} methods were given for {len(fed)} layers: the module has these after its "
                f"first: {', '.join(fed)}"
            )
        return feedback.layers
    own = feedback.model_copy(update={"last": "same"})
    return [LayerFeedback() if feedback.last == "bp" and name == fed[-1] else own for name in fed]


@torch.no_grad()
def _measure_sizes(module: nn.Module, found: dict[str, nn.Module], example_input: Any) -> _Sizes:
    """Call the module once, as in evaluation, and return the sizes that direct feedback needs."""
    if example_input is None:
        raise UsageError(
            "Direct feedback depends on the size of the input. Give convert an example_input: a batch, or a tuple "
            "of the module's arguments"
        )
    arguments = example_input if isinstance(example_input, tuple) else (example_input,)
    inputs: dict[str, int] = {}

    def note(name: str, layer: nn.Module, received: tuple[Tensor, ...]) -> None:
        inputs[name] = received[0][0].numel()

    hooks = [layer.register_forward_pre_hook(partial(note, name)) for name, layer in found.items()]
    modes = {part: part.training for part in module.modules()}
    try:
        output = module.eval()(*arguments)
    finally:
        for hook in hooks:
            hook.remove()
        for part, training in modes.items():
            part.training = training
    check_output(output)
    if unused := [name for name in found if name not in inputs]:
        raise UsageError(f"The example_input does not reach {', '.join(unused)}. {_ANY}")
    return _Sizes(output[0].numel(), inputs)
