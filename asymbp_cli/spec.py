"""The base of every declarative object: strict, frozen, no unknown keys."""

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """Immutable data from YAML or Python; never coerces (`"1"` is no number, `1` no boolean)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
