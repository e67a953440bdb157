"""Networks whose feedback weights differ from their forward weights (Liao, Leibo, Poggio 2016)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asymbp_cli.api.calls import reproduce, train
    from asymbp_cli.api.load_recipe import load_recipe
    from asymbp_cli.errors import AsymbpError
    from asymbp_cli.modules.convert import convert
    from asymbp_cli.modules.layers import (
        AsymmetricConv1d,
        AsymmetricConv2d,
        AsymmetricConv3d,
        AsymmetricLinear,
    )
    from asymbp_cli.modules.measure import Likeness, angles
    from asymbp_cli.modules.steps import mirror, set_targets
    from asymbp_cli.modules.transposed import (
        AsymmetricConvTranspose1d,
        AsymmetricConvTranspose2d,
        AsymmetricConvTranspose3d,
    )
    from asymbp_cli.recipe.recipe import Recipe
    from asymbp_cli.report.frames import Results, Table
    from asymbp_cli.specs.feedback import Feedback, LayerFeedback

__version__ = "0.9.0"

#: what Python users get, and the file that has it: imported when it is used, so that commands need no PyTorch
_HOMES = {
    "AsymbpError": "errors",
    "AsymmetricConv1d": "modules.layers",
    "AsymmetricConv2d": "modules.layers",
    "AsymmetricConv3d": "modules.layers",
    "AsymmetricConvTranspose1d": "modules.transposed",
    "AsymmetricConvTranspose2d": "modules.transposed",
    "AsymmetricConvTranspose3d": "modules.transposed",
    "AsymmetricLinear": "modules.layers",
    "Feedback": "specs.feedback",
    "LayerFeedback": "specs.feedback",
    "Likeness": "modules.measure",
    "Recipe": "recipe.recipe",
    "Results": "report.frames",
    "Table": "report.frames",
    "angles": "modules.measure",
    "convert": "modules.convert",
    "load_recipe": "api.load_recipe",
    "mirror": "modules.steps",
    "reproduce": "api.calls",
    "set_targets": "modules.steps",
    "train": "api.calls",
}

__all__ = [
    "AsymbpError",
    "AsymmetricConv1d",
    "AsymmetricConv2d",
    "AsymmetricConv3d",
    "AsymmetricConvTranspose1d",
    "AsymmetricConvTranspose2d",
    "AsymmetricConvTranspose3d",
    "AsymmetricLinear",
    "Feedback",
    "LayerFeedback",
    "Likeness",
    "Recipe",
    "Results",
    "Table",
    "angles",
    "convert",
    "load_recipe",
    "mirror",
    "reproduce",
    "set_targets",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
