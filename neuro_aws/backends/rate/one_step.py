"""One cycle of learning, everything given and everything returned: weights, stimuli, noise.

It is the engine that trains, fed with recorded numbers. For golden vectors, for comparing with
another implementation, and for reading a step by hand:

    step = one_cycle(protocol, parameters, x, z, noise)
    step.states["wake"], step.losses, step.gradients, step.after

Names of parameters are those of the published code (``neuro_aws.backends.rate.published_names``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from neuro_aws.algorithms.doubly_adversarial import Graph
from neuro_aws.backends.rate.build import build_algorithm, build_network, build_updates, dtype_of
from neuro_aws.backends.rate.engine import Engine, Moment
from neuro_aws.backends.rate.published_names import load_published, running_statistics, to_published
from neuro_aws.errors import NeuroAWSError
from neuro_aws.functional.densities import kl_to_standard_normal
from neuro_aws.functional.discriminator_plasticity import penalty
from neuro_aws.functional.noise import RecordedNoise
from neuro_aws.functional.shapes import rows
from neuro_aws.model.network import Network
from neuro_aws.model.state import NetworkState
from neuro_aws.perturbations import Slots
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.model import AlgorithmSection
from neuro_aws.protocol.schedule import Schedule
from neuro_aws.protocol.schema import Block, Period

Named = Mapping[str, Tensor]

WAKE_NOISE = ("wake", "readout_penalty_wake")
REM_NOISE = ("sleep", "readout", "readout_penalty_sleep", "readout_for_generator")
WAKE_ACH_NOISE = ("disc_wake", "gp_wake", "disc_wake_for_inference")
REM_ACH_NOISE = ("disc_sleep", "gp_sleep")
"""The passes that draw noise, in the order they draw it.

    wake, sleep                 the step itself: up from x, down from z
    readout_penalty_wake        up from x, for R's penalty                     (gamma < 1)
    readout                     up from the dreamt x, for R and F              (gamma < 1)
    readout_penalty_sleep       up from the dreamt x, for R's penalty          (gamma < 1)
    readout_for_generator       up from the dreamt x, for G                    (gamma < 1)
    disc_wake, disc_sleep       D as it is read
    gp_wake, gp_sleep           D as its penalty reads it
    disc_wake_for_inference     D as it teaches F
"""


@dataclass(frozen=True)
class Step:
    """What one cycle did.

    states     h_0 ... h_N by pass: wake, sleep, and the passes up through F of gamma < 1
    losses     per-sample D and R, penalties, per-layer generative losses, KL, totals
    gradients  of every parameter: the direction of descent of the loss that it follows
    after      every parameter and running statistic afterwards
    """

    states: dict[str, list[Tensor]]
    losses: dict[str, Tensor]
    gradients: dict[str, Tensor]
    after: dict[str, Tensor]


def one_cycle(
    protocol: Protocol,
    parameters: Named,
    x: Tensor,
    z: Tensor,
    noise: Mapping[str, tuple[Sequence[Tensor], Sequence[Tensor]]],
) -> Step:
    """Run a wake step and a REM step at the given parameters and return all there is to know.

    ``x`` (batch, channels, side, side) is the stimulus, ``z`` (batch, latents) the draw from the
    prior. ``noise`` maps the name of a pass (see ``WAKE_NOISE`` and its like) to its normal and its
    uniform
    draws, each in the order the layers fire: a pass with ``draws: shared`` is left out. Every
    projection has to change once a cycle (``apply: cycle``), as in the published experiment.
    """
    spec = protocol.spec
    if spec.network.dcgan is None:
        raise NeuroAWSError("one_cycle is for convolutional networks", where="network.dcgan")
    network = build_network(spec.network, spec.algorithm, 0, x.device)
    load_published(network, {name: t.to(dtype_of(spec.network)) for name, t in parameters.items()})
    moments: list[Moment] = []
    block = (Block(wake=1), Block(rem=1))
    Engine(
        network,
        build_algorithm(spec.algorithm, spec.network),
        build_updates(spec.algorithm, network),
        _Given(x),  # type: ignore[arg-type]
        Schedule((Period(name="cycle", cycles=1, phases=block),)),
        _Recorded(z.flatten(1), noise),  # type: ignore[arg-type]
        len(x),
        lambda _: Slots(),
        (moments.append,),
    ).live(2)
    wake, rem = moments
    states = {"wake": wake.state.somas, "sleep": rem.state.somas}
    states |= _passes(("readout_penalty_wake",), wake.state)
    states |= _passes(REM_NOISE[1:], rem.state)
    return Step(states, _losses(network, spec.algorithm, wake, rem), *_changes(network, moments))


class _Given:
    """A dataset of one batch."""

    def __init__(self, x: Tensor) -> None:
        self.train = x

    def sample(self, draws: object, batch: int) -> tuple[Tensor, None]:
        return self.train, None


class _At:
    """Recorded numbers of a wake step and of a REM step."""

    def __init__(self, wake: RecordedNoise, rem: RecordedNoise) -> None:
        self._steps = (wake, rem)

    def at(self, step: int) -> RecordedNoise:
        return self._steps[step]


class _Recorded:
    """The streams of an animal, played back."""

    def __init__(
        self, z: Tensor, noise: Mapping[str, tuple[Sequence[Tensor], Sequence[Tensor]]]
    ) -> None:
        def recorded(names: Sequence[str]) -> RecordedNoise:
            known = [noise[name] for name in names if name in noise]
            normals = [t for draws in known for t in draws[0]]
            return RecordedNoise(normals, [t for draws in known for t in draws[1]])

        nothing = _At(RecordedNoise(), RecordedNoise())
        self.noise = _At(recorded(WAKE_NOISE), recorded(REM_NOISE))
        self.ach = _At(recorded(WAKE_ACH_NOISE), recorded(REM_ACH_NOISE))
        self.prior = _At(RecordedNoise(), RecordedNoise([z]))
        self.stimulus = self.eyes = self.neuromodulator = nothing


def _passes(names: Sequence[str], state: NetworkState) -> dict[str, list[Tensor]]:
    return {n: p.somas for n, p in zip(names, state.passes, strict=False)}


def _losses(
    network: Network, algorithm: AlgorithmSection, wake: Moment, rem: Moment
) -> dict[str, Tensor]:
    form, own, dreamt = network.acetylcholine.form, wake.ach.own, rem.ach.own
    gamma = getattr(algorithm, "gamma", 1.0)
    losses = {
        "disc_wake": own.reading.level,
        "disc_sleep": dreamt.reading.level,
        "disc_wake_for_inference": own.taught,
        "gp_wake": penalty(form, own.gradient),
        "gp_sleep": penalty(form, dreamt.gradient),
        "kl_from_standard_normal": kl_to_standard_normal(rows(wake.state.somas[-1])),
    }
    errors = []
    for layer in wake.state.layers[:-1]:
        assert layer.dendrite is not None
        error = layer.soma - layer.dendrite.rate
        errors.append((error.abs() if algorithm.density == "laplacian" else error.square()).mean())
    losses["generator_per_layer"] = torch.stack(errors)
    descent = -own.reading.level.mean() + dreamt.reading.level.mean()
    losses["discriminator_total"] = gamma * (descent + losses["gp_sleep"] + losses["gp_wake"])
    taught = (
        gamma * own.taught.mean()
        + getattr(algorithm, "kl", 0.0) * losses["kl_from_standard_normal"]
    )
    predicted = gamma * losses["generator_per_layer"].sum()
    if isinstance(wake.state.graph, Graph) and isinstance(rem.state.graph, Graph):
        seen, slept = wake.state.graph.losses, rem.state.graph.losses
        told = slept["readout"].mean() - seen["readout"].mean()
        punished = seen["readout_penalty"] + slept["readout_penalty"]
        losses["readout_total"] = (1 - gamma) * (told + punished)
        taught = taught + losses["readout_total"]
        sent = slept.get("readout_for_generator", slept["readout"])
        predicted = predicted - (1 - gamma) * sent.mean()
        losses |= {"readout_wake": seen["readout"], "readout_sleep": slept["readout"]}
    return {**losses, "inference_total": taught, "generator_total": predicted}


def _changes(
    network: Network, moments: Sequence[Moment]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    gradients: dict[str, Tensor] = {}
    after = {name: t.clone() for name, t in running_statistics(network).items()}
    for projection in network.projections:
        parts = [m.deltas[projection].tensors for m in moments if projection in m.deltas]
        ascent = [torch.stack(tensors).sum(0) for tensors in zip(*parts, strict=True)]
        named = to_published(network, projection, ascent)
        gradients |= {name: -tensor for name, tensor in named.items()}
        after |= to_published(network, projection, network.parameters(projection))
    return gradients, after
