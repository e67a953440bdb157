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
from asymbp_cli.modules.layers import Asymmetric, watching
from asymbp_cli.modules.method import Named, read_feedback
from asymbp_cli.modules.rules import Exact, Rule
from asymbp_cli.modules.schemes import BUILDERS, Place, build_direct
from asymbp_cli.specs.feedback import Feedback, LayerFeedback, feedback_name
from asymbp_cli.text import count

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
#: what to do about a layer that cannot be converted
_ANY = (
    "Convert the parts of the module without it, each with a seed of its own: "
    'asymbp.convert(part, method, seed=1, first="same")'
)
#: types that hold a module and call it; by name, since importing them takes a second
_WRAPPERS = {
    "DataParallel",
    "DistributedDataParallel",
    "FullyShardedDataParallel",
    "FSDPModule",
    "OptimizedModule",
}


class _Sizes(NamedTuple):
    """What direct feedback must know: numbers per sample of the output, and of each layer's input."""

    classes: int
    inputs: dict[str, int]


def convert(
    module: AnyModule,
    method: Named | Sequence[Named],
    seed: int = 0,
    *,
    first: Literal["bp", "same"] = "bp",
    example_input: Any = None,
    reduction: Literal["mean", "sum"] = "mean",
) -> AnyModule:
    """Make the Linear and convolution layers of `module` asymmetric, in place, and return it.

    `method` is the name of a feedback scheme (`asymbp ls schemes`), a `Feedback`, or a list with one for each
    layer but the first. Layers count in the order in which the module registers them. The first one's V is its W
    (`first="bp"`): in the paper no error passes below it. With `first="same"` it has the scheme of the others, as
    a part of a network should. All random draws follow from `seed`, from 0 to 2**63 - 1: give each part its own.

    Direct routes (DFA, sDFA, DRTP, DKP) need an `example_input`, a tensor or a tuple of arguments. The module is
    called with it once, for the sizes. `reduction` is that of the loss over the samples. Only the sizes of the
    errors of sDFA and DRTP depend on it.

    Raises UsageError if the method asks for more than feedback, if the module's layers cannot be converted, or if
    none of them would get another V than W. The module is then as it was.
    """
    feedback = read_feedback(method)
    _check_arguments(seed, first, reduction)
    _check_wrappers(module)
    found = dict(_find_layers(module))
    if not found:
        raise UsageError("The module has no Linear or convolution layer, so that there is nothing to convert")
    _check_weights(module, found)
    fed = list(found)[1 if first == "bp" else 0 :]
    specs = _feedback_by_layer(feedback, fed, first)
    is_direct = feedback.kind.route != "layerwise"
    if unknown := {spec.scheme for spec in specs if not is_direct and spec.scheme not in BUILDERS}:
        raise UsageError(f"convert cannot build {', '.join(unknown)}; it builds {', '.join(BUILDERS)}")
    sizes = _measure_sizes(module, found, example_input) if is_direct else None
    built: list[tuple[Place, Rule, str]] = []
    for number, (name, spec) in enumerate(zip(fed, specs, strict=True), start=1 + len(found) - len(fed)):
        place = Place(_view(found[name]), Source(seed, number), last=name == fed[-1])
        if sizes is None:
            rule = BUILDERS[spec.scheme](spec, place)
        else:
            rule = build_direct(spec, place, sizes.classes, sizes.inputs[name])
        built.append((place, rule, feedback_name(spec)))
    # from here on nothing can fail: a module is converted as a whole or not at all
    for layer in found.values():
        layer.__class__ = _form(layer)
    sender = None if sizes is None else Sender(feedback.kind.route, mean=reduction == "mean")
    for name, (place, rule, scheme) in zip(fed, built, strict=True):
        layer = found[name]
        assert isinstance(layer, Asymmetric)
        place.install(layer)
        layer.rule, layer.scheme, layer.sender = rule, scheme, sender
    if sender is not None:
        sender.join(module)
    return module


def _form(layer: nn.Module) -> type[nn.Module]:
    return _FORMS.get(type(layer), type(layer))


def _view(layer: nn.Module) -> Asymmetric:
    """Return the asymmetric form of a layer to read from. It shares everything with the layer, which stays."""
    form = _form(layer)
    view = form.__new__(form)
    view.__dict__.update(layer.__dict__)
    assert isinstance(view, Asymmetric)
    return view


def _check_arguments(seed: int, first: str, reduction: str) -> None:
    """Raise UsageError if a plain argument of `convert` is not allowed."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise UsageError(f"seed is a whole number from 0 to 2**63 - 1, not {seed!r}")
    if first not in ("bp", "same"):
        raise UsageError(f'first is "bp" or "same", not {first!r}')
    if reduction not in ("mean", "sum"):
        raise UsageError(f'reduction is "mean" or "sum", not {reduction!r}')


def _check_wrappers(module: nn.Module) -> None:
    """Raise UsageError if the module is compiled or distributed already."""
    for name, part in module.named_modules():
        wrappers = _WRAPPERS.intersection(kind.__name__ for kind in type(part).__mro__)
        if getattr(part, "_compiled_call_impl", None) is not None:
            wrappers.add("compiled module")
        if wrappers:
            raise UsageError(
                f"{name or 'The module'} is a {wrappers.pop()} already. Convert the module first, then wrap or "
                "compile it"
            )


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
                "weights of their own, or convert parts of the module with one of them at most: "
                'asymbp.convert(part, method, seed=1, first="same"), each part with a seed of its own'
            )


def _feedback_by_layer(feedback: Feedback, fed: Sequence[str], first: str) -> Sequence[LayerFeedback]:
    """Return the feedback of the layers `fed`; raises UsageError if V is W in all, and nobody asked for it."""
    if feedback.layers:
        if len(feedback.layers) != len(fed):
            which = "after its first" if first == "bp" else "to feed"
            raise UsageError(
                f"got {count(len(feedback.layers), 'method')} for {count(len(fed), 'layer')}: the module has "
                f"these {which}: {', '.join(fed) or 'none'}"
            )
        return feedback.layers
    own = feedback.model_copy(update={"last": "same"})
    specs = [LayerFeedback() if feedback.last == "bp" and name == fed[-1] else own for name in fed]
    if feedback.scheme != "bp" and all(spec.scheme == "bp" for spec in specs):
        ends = {"first": first, "last": feedback.last}
        exact = [f"its {end} (V = W)" for end, value in ends.items() if value == "bp"]
        raise UsageError(
            f"No layer would get {feedback_name(own)}: the module has none but {' and '.join(exact)}. Convert the "
            'whole network at once, or write first="same" if this is a part of one, and give each part a seed of '
            "its own"
        )
    return specs


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

    def note(name: str, x: Tensor) -> None:
        inputs[name] = x[0].numel()

    with watching(module, ((layer, partial(note, name)) for name, layer in found.items())):
        output = module(*arguments)
    check_output(output)
    if unused := [name for name in found if name not in inputs]:
        raise UsageError(f"The example_input does not reach {', '.join(unused)}. {_ANY}")
    return _Sizes(output[0].numel(), inputs)
