"""The experiment that a perturbation is given, and what an object that perturbs may do."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from neuro_aws.functional.noise import Draws
from neuro_aws.model.state import AcetylcholineSignal
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.stimuli.dataset import Dataset


class Setting(NamedTuple):
    """The experiment that a perturbation acts in."""

    spec: ProtocolSpec
    animal: int
    dataset: Dataset


class PerturbsStimulus(Protocol):
    """Changes what the animal sees, in wake."""

    def stimulus(self, x: Tensor, labels: Tensor | None, draws: Draws) -> Tensor:
        """Return the stimuli of a batch (batch, pixels) as the animal gets them."""
        ...


class PerturbsActivity(Protocol):
    """Multiplies somatic rates."""

    def activity(self, sizes: Sequence[int]) -> Mapping[int, Tensor]:
        """Return the factor on each unit's rate, by layer; ``sizes`` are the layers' units."""
        ...


class PerturbsNeuromodulator(Protocol):
    """Changes ACh between its release and its targets."""

    def neuromodulator(
        self, signal: AcetylcholineSignal, labels: Tensor | None, draws: Draws
    ) -> AcetylcholineSignal:
        """Return the signal as it reaches the synapses."""
        ...
