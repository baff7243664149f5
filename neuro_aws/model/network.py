"""Layers and neuromodulators wired together. Applies changes; knows no learning rule."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

from torch import Tensor

from neuro_aws.functional.shapes import rows
from neuro_aws.model import checkpoint
from neuro_aws.model.acetylcholine import Acetylcholine
from neuro_aws.model.homeostasis import Adaptation
from neuro_aws.model.lateral import Lateral
from neuro_aws.model.layer import Layer
from neuro_aws.model.memory import Memory
from neuro_aws.model.parameters import Parameters
from neuro_aws.model.passes import NO_GAINS, Gains, Passes
from neuro_aws.model.prior import LearntPrior
from neuro_aws.model.readout import Readout, readout_level
from neuro_aws.model.state import Changes, NetworkState, Tensors
from neuro_aws.phase import FEEDBACK, FEEDFORWARD, Phase
from neuro_aws.protocol.model import NetworkSection
from neuro_aws.protocol.projections import Projection, declared


class Network(Passes):
    """h_0 ... h_N, the projections between them, the prior of the top layer, and acetylcholine.

    It declares its ``projections``; ``kinds`` are the kinds among them. Weights are had by kind and
    name, ``parameters(kind)``; how they pass through the layers is said by ``Passes``.
    """

    def __init__(
        self,
        section: NetworkSection,
        layers: Sequence[Layer],
        acetylcholine: Acetylcholine,
        readout: Readout | None = None,
        lateral: Lateral | None = None,
        prior: LearntPrior | None = None,
        memory: Memory | None = None,
        adaptation: Adaptation | None = None,
        extra: Sequence[Projection] = (),
        extra_weights: Tensors | None = None,
    ) -> None:
        """``extra``: projections that a theory asks for, with ``extra_weights`` by name."""
        super().__init__(section, layers, lateral or Lateral({}), prior, memory)
        self.acetylcholine = acetylcholine
        self.readout = readout
        self.adaptation = adaptation or Adaptation()
        self._parameters = Parameters(
            declared(section, readout is not None, extra),
            self.layers,
            self.lateral,
            acetylcholine,
            readout,
            extra_weights,
        )
        common = declared(section)
        kinds = (FEEDFORWARD, FEEDBACK)
        self._up, self._down = (
            [tuple(p.tensors) for p in common if p.kind == kind] for kind in kinds
        )

    @property
    def projections(self) -> tuple[Projection, ...]:
        """Return the projections that this network declares."""
        return self._parameters.projections

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of projections that this network has."""
        return self._parameters.kinds

    def parameters(self, kind: str) -> Tensors:
        """Return the weights of one kind by name; empty where the network has none of it."""
        return self._parameters.of(kind)

    def feedforward_changes(self, i: int, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return by name what a layer's ``onto_feedforward`` returned."""
        return dict(zip(self._up[i], tensors, strict=True))

    def feedback_changes(self, i: int, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return by name what a layer's ``onto_feedback`` returned."""
        return dict(zip(self._down[i], tensors, strict=True))

    def flat(self, kind: str) -> Tensor:
        """Return the weights of one kind as one vector; ``parameters`` are views of it."""
        return self._parameters.vector(kind)

    def named(self, kind: str, vector: Tensor) -> dict[str, Tensor]:
        """Return the parts of such a vector (a change, say) by the names of the weights."""
        return self._parameters.named(kind, vector)

    def put(self, kind: str, tensors: Mapping[str, Tensor]) -> None:
        """Compute with other tensors, of the same names and shapes, as weights of a kind."""
        self._parameters.put(kind, tensors)

    def apply(self, changes: Changes) -> None:
        """Add the changes to the weights, in place."""
        self._parameters.apply(changes)

    def readout_level(self, state: NetworkState, weights: Tensors) -> Tensor:
        """Return R of each sample, read from h_{N-1} with the given weights."""
        soma = state.layers[self.depth - 1].soma
        return readout_level(soma, weights["readout"], weights["readout_bias"])

    @contextmanager
    def following(self, adapting: bool = True) -> Iterator[None]:
        """Let passes follow upon the step before: for steps of a run.

        Lateral input carries over, and drives that are held at a set point adapt (unless
        ``adapting`` says no). Outside of it (measures) lateral input starts from zeros, and
        running statistics are used as they are.
        """
        carried = self.lateral.following() if self.lateral.weights else nullcontext()
        with carried, self.adaptation.during(adapting):
            yield

    def track(self, state: NetworkState) -> None:
        """Bring up to date what a step leaves behind, beside its changes of weights.

        Running statistics follow all passes up through F, each as far as it went, the prior the
        waking top, and lateral weights carry the somata into the next step.
        """
        self.lateral.remember(state)
        waking = state.phase is Phase.WAKE
        if waking:
            self.prior.track(rows(state.layers[-1].soma.detach()))
        for passed in (state, *state.passes) if waking else state.passes:
            for layer, above in zip(self.layers, passed.layers[1:], strict=False):
                if above.drive is not None:
                    layer.track_soma(above.drive)
        for layer, below in zip(self.layers, state.layers[:-1], strict=True):
            fired = below.dendrite if waking else below.drive
            if fired is not None:
                layer.track_dendrite(fired, not waking)

    def reset(self) -> None:
        """Forget the step before; weights and statistics stay."""
        self.lateral.reset()

    def state_dict(self) -> dict[str, Tensor]:
        """Return every tensor that makes the network what it is, by name."""
        return checkpoint.state_dict(self)

    def statistics(self) -> list[Tensor]:
        """Return what changes in a run beside the weights: running statistics, prior, baseline."""
        return list(checkpoint.statistics(self).values())

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy every tensor of ``tensors`` into the network, which must have the same ones."""
        checkpoint.load_state_dict(self, tensors)


__all__ = ["NO_GAINS", "Gains", "Network"]
