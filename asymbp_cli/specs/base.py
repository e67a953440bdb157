"""The base of every declarative object: strict, frozen, no unknown keys."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict

from asymbp_cli.text import printable


def is_label(value: object) -> bool:
    """Return whether a value is text that a table can print."""
    return isinstance(value, str) and bool(value.strip()) and printable(value)


def _checked(text: str) -> str:
    if not is_label(text):
        raise ValueError("must be text on one line, without control characters")
    return text


#: what users write and tables print
Label = Annotated[str, AfterValidator(_checked)]


class Spec(BaseModel):
    """Immutable data from YAML or Python; never coerces (`"1"` is no number, `1` no boolean)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other fields, as pydantic does, with an id of its own."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied
