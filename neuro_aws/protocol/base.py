"""The base of every protocol section: frozen, strict, unknown keys refused; and key paths."""

from pydantic import BaseModel, ConfigDict

KeyPath = tuple[str | int, ...]
"""Where a setting stands in a protocol: keys of mappings, numbers of list items."""


class Section(BaseModel):
    """A section of a protocol file."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        populate_by_name=True,
    )
