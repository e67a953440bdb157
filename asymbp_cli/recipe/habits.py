"""Keys that people write from habit: what they are called here, and where they belong."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.recipe.parameters import place_parameter
from asymbp_cli.recipe.wording import KeyPath, describe_unknown_key, show
from asymbp_cli.specs.feedback import LayerFeedback
from asymbp_cli.specs.methods import UPDATES, Method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import INITIALIZATIONS, Protocol
from asymbp_cli.specs.references import by_short_name
from asymbp_cli.text import find_nearest

#: key -> what other tools call it
_SYNONYMS = {
    "base_rate": "lr learning_rate rate eta step_size base_lr initial_lr learningrate",
    "rate_multipliers": "rates lrs learning_rates multipliers",
    "epochs": "epoch num_epochs n_epochs max_epochs nb_epoch",
    "batch_size": "batch bs batchsize mini_batch minibatch minibatch_size mini_batch_size batch_sizes",
    "weight_decay": "wd decay l2 l2_penalty weightdecay",
    "gradient_clip": "grad_clip clip clip_norm clipnorm clip_grad clip_grad_norm gradient_clip_val max_grad_norm",
    "momentum": "beta1 beta_1",
    "adam_beta2": "beta2 beta_2",
    "adam_epsilon": "eps epsilon",
    "phases": "schedule scheduler lr_schedule lr_scheduler milestones gamma lr_decay",
    "nesterov": "nag use_nesterov",
    "crop_padding": "random_crop crop",
    "horizontal_flip": "random_flip random_horizontal_flip hflip",
    "loss": "criterion loss_function objective cost",
    "initialization": "init initializer initialisation weight_init kernel_initializer",
    "validation_fraction": "val_split validation_split val_fraction val_size validation",
    "precision": "dtype amp mixed_precision fp16 bf16",
    "preprocessing": "normalize normalization transforms transform",
    "update": "optimizer optim optimiser solver update_rule",
    "batch_norm": "bn batchnorm batch_normalization use_bn batchnorm2d",
    "feedback": "backward backward_weights b v",
    "train": "trainable freeze",
    "scheme": "feedback_scheme",
    "flip_probability": "p flip flips sign_flip",
    "network": "model net architecture arch",
    "dataset": "data datasets train_data",
    "method": "methods algorithm",
    "seed": "seeds random_seed random_state manual_seed rng",
    "title": "name experiment experiment_name run_name description",
    "input": "input_shape input_size in_shape shape in_channels",
    "layers": "layer blocks modules",
    "activation": "activation_function nonlinearity act",
    "columns": "column",
}
_CALLED = {synonym: key for key, synonyms in _SYNONYMS.items() for synonym in synonyms.split()}
#: key of a recipe -> what it may hold
_PARTS: dict[str, Collection[str]] = {
    "protocol": Protocol.model_fields,
    "feedback": LayerFeedback.model_fields,
    "network": Network.model_fields,
    "dataset": [name for name in FolderSource.model_fields if name not in ("seed", "label")],
}
#: what a key may also be called, by the mapping that it is in
_ALSO = {
    "title": ("label", "header"),
    "label": ("header", "title"),
    "header": ("label", "title"),
    "method": ("columns",),
}
_RECIPE = ("title", "dataset", "network", "method", *Method.model_fields, "protocol", "seed", "keep_weights")
_OPTIONS = {
    "device": "--device",
    "gpu": "--device",
    "cuda": "--device",
    "workers": "--workers",
    "num_workers": "--workers",
    "results": "--results",
    "output": "--results",
    "output_dir": "--results",
    "save_dir": "--results",
    "data_dir": "--data-dir",
    "data_root": "--data-dir",
    "executor": "--executor",
    "plugin": "--plugin",
    "plugins": "--plugin",
}
_ABSENT = {
    "dropout": "there is no dropout here",
    "augmentation": "crop_padding and horizontal_flip of the protocol augment images",
    "augment": "crop_padding and horizontal_flip of the protocol augment images",
    "data_augmentation": "crop_padding and horizontal_flip of the protocol augment images",
    "early_stopping": "the best epoch is picked from all anyway",
    "patience": "the best epoch is picked from all anyway",
    "betas": "those of Adam are momentum and adam_beta2 of the protocol",
    "momentums": "one run has one momentum",
}


#: half of the epochs at the whole rate, a quarter at a tenth, a quarter at a hundredth
_PHASES = "phases: [{share: 2, factor: 1}, {share: 1, factor: 0.1}, {share: 1, factor: 0.01}]"


def find_name(key: str, allowed: Sequence[str], path: KeyPath) -> str:
    """Return which of the allowed keys was meant by another one in the mapping at a path; nothing if none was."""
    name = _find_synonym(key, allowed)
    return name or ("" if _find_place(_call(key), path) else find_nearest(key, allowed))


def explain_key(
    key: str, value: Any, allowed: Sequence[str], path: KeyPath, beside: Mapping[str, Any], base: str = "demo"
) -> str:
    """Return the message for a key that is not allowed in the mapping at a path: what to write instead.

    `beside` is that mapping, `base` the protocol that the recipe has.
    """
    known, name = _call(key), _find_synonym(key, allowed)
    if name == "seed" and key.lower() == "seeds":
        return "is called seed here, and lists them: seed: [0, 1, 2]. Or delete the line, and type --seeds 3"
    if name and name != find_nearest(key, allowed):
        return _rename(name, value)
    place = "" if name else _find_place(known, path)
    if place == "protocol" and "columns" in allowed:
        option = f"--set protocol.{known}={show(value)}"
        return f"belongs in the protocol. Set it with {option}, or in a column's protocol"
    if place == "feedback" and known != "scheme":
        return place_parameter(known, show(value), beside)
    if place in _PARTS:
        owner = place if path or place in allowed else f"{place} of a recipe"
        written = _write_part(place, known, value, beside, "" if path and place in allowed else base)
        return f"belongs in {owner}. Write {written}"
    if place:
        where = "to the recipe itself, at the left margin" if path else "in a recipe"
        return f"belongs {where}. Write {known}: {show(value)} there"
    if known in _OPTIONS:
        return f"is an option of the command. Delete the line, and type {_OPTIONS[known]}"
    if known in _ABSENT:
        return f"{_ABSENT[known]}. Delete the line"
    return describe_unknown_key(key, allowed)


def _call(key: str) -> str:
    """Return the name that a key has here."""
    habit = re.sub(r"\W", "_", key.lower())
    return _CALLED.get(habit, habit)


def _find_synonym(key: str, allowed: Sequence[str]) -> str:
    """Return the allowed key that another word means."""
    known = _call(key)
    names = [known, f"{known}s", *_ALSO.get(known, ())]
    return next((name for name in names if name in allowed), "")


def _find_place(known: str, path: KeyPath) -> str:
    """Return the part of a recipe, or `recipe` itself, where a key belongs; nothing if it is here, or nowhere."""
    parts = [part for part, keys in _PARTS.items() if known in keys and part not in path]
    return parts[0] if parts else "recipe" if known in _RECIPE and known not in path else ""


def _rename(known: str, value: Any) -> str:
    """Return the message for a key that is called otherwise."""
    if known == "update":
        is_absent = isinstance(value, str) and value.lower() not in UPDATES
        absent = f", and there is no {show(value)}" if is_absent else ""
        names = ", ".join(by_short_name(UPDATES))
        return f"is called update here: {names}{absent}. A method names it too: method: [SGD, BM]"
    if known == "batch_norm":
        return "is called batch_norm here: none, plain, learnable. A method names it too: method: uSF+BN"
    if known == "base_rate":
        return f"is called base_rate here, times each of rate_multipliers. Write base_rate: {show(value)}"
    if known == "phases":
        return f"is called phases here: stretches of epochs, each with a factor on the rate. Write {_PHASES}"
    if known == "initialization":
        return f"is called initialization here: {', '.join(by_short_name(INITIALIZATIONS))}"
    return f"is called {known} here. Write {known}: {show(value)}"


def _write_part(part: str, known: str, value: Any, beside: Mapping[str, Any], base: str) -> str:
    """Return a part of a recipe with a value in it, as one writes it; without `base` that of a method."""
    written = _PHASES if known == "phases" else f"{known}: {show(value)}"
    if part == "protocol":
        written += ", rate_multipliers: [1]" if known == "base_rate" else ""
        written = f"extends: {base}, {written}" if base else written
    elif part == "network":
        written = "input: 28x28x1, layers: [FC 64, FC classes]"
    elif part == "dataset" and known != "folder":
        folder = beside.get("dataset")
        written = f"folder: {folder if isinstance(folder, str) and '/' in folder else 'PATH'}, {written}"
    return f"{part}: {{{written}}}"
