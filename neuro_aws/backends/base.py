"""What a simulator is to everything above it: one animal in one branch of an experiment.

A simulator computes; it never decides when to stop, to save or to measure. ``experiment/branch.py``
does, and it knows every simulator by this interface alone. Its table is ``protocol/backends.py``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from neuro_aws.protocol.agenda import Moment
from neuro_aws.protocol.measure import Measure
from neuro_aws.protocol.registry import load
from neuro_aws.recording.writer import Writer

if TYPE_CHECKING:
    from neuro_aws.backends.rate.distributed import Team
    from neuro_aws.metrics.subject import Value
    from neuro_aws.protocol import ArmPlan, TrunkPlan
    from neuro_aws.protocol import Protocol as Experiment
    from neuro_aws.stimuli.dataset import Dataset

Array = NDArray[Any]
State = dict[str, Array]
"""All that simulating changes, as flat arrays by name: what a checkpoint holds."""


class Simulator(Protocol):
    """One animal, one branch; rate network, spiking cortex and single neuron are three of them.

    Constructed as ``Simulator(protocol, branch, animal, device=, dataset=, team=)``, at step 0 with
    initial weights, whatever the branch; its state is loaded after.
    """

    def advance(self, start: int, stop: int, out: Writer, should_stop: Callable[[], bool]) -> int:
        """Simulate from ``start`` and record into ``out``; return the step reached.

        That is ``stop``, or a later one where steps are simulated in blocks; or an earlier one if
        ``should_stop`` said so: the state is then that of the step returned, and ``out`` holds
        nothing beyond it. A number that is no longer finite raises.
        """
        ...

    def state_dict(self) -> State:
        """Return copies of all that simulating changes."""
        ...

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take up what ``state_dict`` returned."""
        ...

    def weights(self, step: int) -> Mapping[str, Array]:
        """Return the recorded weights by name, as they were after ``step`` steps.

        ``step``: the present one, or one at which weights were due in the last ``advance``.
        """
        ...

    def images(self, step: int) -> Mapping[str, Array]:
        """Return pictures of dreams and predictions (bytes) by name; none where there are none."""
        ...

    def measure(
        self, what: Measure | str, at: Moment, settings: Mapping[str, Any] | None = None
    ) -> Iterator["Value"]:
        """Yield the values of a measure; plasticity is off, and nothing of the run is consumed.

        ``at``: the present moment, or an end of a cycle passed in the last ``advance``.
        """
        ...

    def status(self) -> str:
        """Say in a few words how learning goes."""
        ...

    # What a session in Python asks for beside that (``experiment/session.py``).

    def step_ends(self, start: int) -> int:
        """Return the first step after ``start`` at which the state can be had."""
        ...

    def observed(self, what: str, layer: int | None, samples: bool) -> "Observed":
        """Return a signal of the steps of the last ``advance``: one row a step."""
        ...

    def read(self, name: str) -> Array:
        """Return a copy of one of the recorded weights, in full precision."""
        ...

    def assign(self, name: str, values: Array) -> None:
        """Write one of the recorded weights."""
        ...

    def replan(self, plan: "ArmPlan | TrunkPlan") -> None:
        """Go on under other perturbations."""
        ...

    def present(self, stimuli: Array | None, noise: bool, running: bool) -> list["Observed"]:
        """Return what every layer fires when shown stimuli, plasticity off, nothing perturbed."""
        ...

    def dream(self, count: int, stream: str) -> list["Observed"]:
        """Return what every layer fires in so many dreams, plasticity off, nothing perturbed."""
        ...


@dataclass(frozen=True)
class Observed:
    """Values with the names of their dimensions, and their unit."""

    values: Array
    dims: tuple[str, ...]
    units: str


def make(
    protocol: "Experiment",
    branch: str,
    animal: int,
    *,
    device: str = "cpu",
    dataset: "Dataset | None" = None,
    team: "Team | None" = None,
    compiled: bool = False,
) -> Simulator:
    """Return the simulator that a branch of a protocol needs, at step 0.

    ``compiled``: with the compiled step, which only some simulators have (``backends/rate/forms``).
    """
    from neuro_aws.protocol.backends import backend_of

    kind = load(backend_of(protocol.tree.plan(branch).spec).simulator)
    more = {"compiled": True} if compiled else {}
    made: Simulator = kind(
        protocol, branch, animal, device=device, dataset=dataset, team=team, **more
    )
    return made
