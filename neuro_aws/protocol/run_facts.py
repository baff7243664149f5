"""What the program reads of a run's provenance.json, a file that may be anybody's."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class _Git(BaseModel):
    model_config = ConfigDict(strict=True)

    commit: str | None
    dirty: bool | None


class _RunFacts(BaseModel):
    model_config = ConfigDict(strict=True)

    neuro_aws: str
    git: _Git
    command: list[str]
    started: str
    outcome: str
    protocol: str
    overrides: list[str]
    animals: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(min_length=1)
    arms: list[str] = Field(min_length=1)
    device: str
    data: str | None = None
    short: bool = False
    allow_code: bool = False
    resumed: list[str] = []
    ended: str = ""


def fault(data: Any) -> str | None:
    """Return what is wrong with the facts of a run, or None."""
    try:
        _RunFacts.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg'][:100]}"
    return None
