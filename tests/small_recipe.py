"""A recipe of seconds as a mapping, for calls from Python."""

from collections.abc import Mapping
from typing import Any

NETWORK = {"input": "8x8x1", "layers": ["FC 4", "FC classes"]}
PROTOCOL = {"extends": "demo", "epochs": 1, "rate_multipliers": (1,)}
RECIPE: Mapping[str, Any] = {
    "title": "small",
    "dataset": "digits",
    "network": NETWORK,
    "method": ("SGD", "uSF"),
    "protocol": PROTOCOL,
}
