"""What the program reads of a run's provenance.json, a file that may be anybody's."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from neuro_aws.errors import printable


def _plain(text: str) -> str:
    if printable(text) != text:
        raise ValueError("holds control characters")
    return text


def _once(items: list[Any]) -> list[Any]:
    if len(set(items)) < len(items):
        raise ValueError("one is named twice")
    return items


Text = Annotated[str, AfterValidator(_plain)]
"""What may be logged as it is; paths and messages are made printable where they are shown."""


class _Git(BaseModel):
    model_config = ConfigDict(strict=True)

    commit: Text | None
    dirty: bool | None


class _RunFacts(BaseModel):
    model_config = ConfigDict(strict=True)

    neuro_aws: Text
    git: _Git
    command: list[str]
    started: Text
    outcome: str
    protocol: str
    overrides: list[str]
    animals: Annotated[
        list[Annotated[int, Field(ge=0, lt=2**31)]],
        Field(min_length=1, max_length=10_000),
        AfterValidator(_once),
    ]
    arms: Annotated[list[Text], Field(min_length=1, max_length=1000), AfterValidator(_once)]
    device: Annotated[str, Field(pattern=r"^(cpu|cuda(:\d{1,3})?)$")]
    data: str | None = None
    step: Text = "written-out"
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
