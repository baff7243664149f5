"""Where stimuli come from; ``load`` makes those that a protocol names. torch comes with them."""

from typing import TYPE_CHECKING, Any

from neuro_aws.protocol.entry import load as imported
from neuro_aws.protocol.stimulus import STIMULI, OwnStimulus

if TYPE_CHECKING:
    import torch

    from neuro_aws.stimuli.dataset import Dataset


def load(section: Any, animal: int, dtype: "torch.dtype") -> "Dataset":
    """Return the stimuli of a section, for one animal."""
    if isinstance(section, OwnStimulus):
        maker = imported("neuro_aws.stimuli.own:own")
    else:
        maker = STIMULI[section.source].load()
    made: Dataset = maker(section, animal, dtype)
    return made


def __getattr__(name: str) -> Any:
    """Import ``Dataset`` when it is first asked for."""
    if name == "Dataset":
        return imported("neuro_aws.stimuli.dataset:Dataset")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Dataset", "load"]
