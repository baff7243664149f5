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
from neuro_aws.backends.rate.engine import Engine
from neuro_aws.backends.rate.given_noise import (
    REM_PASSES,
    REM_READINGS,
    WAKE_PASSES,
    WAKE_READINGS,
    Draws,
    checked,
    played_back,
)
from neuro_aws.backends.rate.moment import Moment
from neuro_aws.backends.rate.published_names import load_published, running_statistics, to_published
from neuro_aws.errors import NeuroAWSError
from neuro_aws.functional.densities import kl_to_standard_normal
from neuro_aws.functional.discriminator_plasticity import penalty
from neuro_aws.functional.noise import RecordedNoise
from neuro_aws.functional.shapes import rows
from neuro_aws.model.network import Network
from neuro_aws.model.state import NetworkState, OwnReading
from neuro_aws.perturbations import Slots
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.model import AlgorithmSection
from neuro_aws.protocol.schedule import Schedule
from neuro_aws.protocol.schema import Block, Period

Named = Mapping[str, Tensor]


@dataclass(frozen=True)
class Step:
    """What one cycle did.

    states     h_0 ... h_N by pass: wake, sleep; h_0 ... h_{N-1} of the passes for R (gamma < 1)
    losses     per-sample D and R, the penalties of both, per-layer generative losses, KL, totals
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
    noise: Mapping[str, Draws],
) -> Step:
    """Run a wake step and a REM step at the given parameters and return all there is to know.

    ``x`` (batch, channels, side, side) is the stimulus, ``z`` (batch, latents) the draw from the
    prior. ``noise`` maps the name of a pass (``neuro_aws.backends.rate.given_noise`` lists them) to
    its normal and its uniform draws, each in the order the layers fire; what a pass does not take
    is refused. Every projection has to change once a cycle (``apply: cycle``), as in the published
    experiment.
    """
    spec = protocol.spec
    if spec.network.dcgan is None:
        raise NeuroAWSError("one_cycle is for convolutional networks", where="network.dcgan")
    network = build_network(spec.network, spec.algorithm, 0, x.device)
    learnt = network.prior.learnt
    mixture = learnt is not None and len(learnt.weight) > 1
    if network.binary or mixture or network.prior.memory is not None:
        raise NeuroAWSError(
            "one_cycle takes z as it is drawn from N(0, I)",
            where="network.prior",
            next_step="Use prior: standard, no memory and rate units",
        )
    noise = checked(network, x, z.flatten(1), noise)
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
    ).run(2)
    wake, rem = moments
    states = {"wake": wake.state.somas, "sleep": rem.state.somas}
    states |= _passes(WAKE_PASSES[1:], wake.state)
    states |= _passes(REM_PASSES[1:], rem.state)
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

    def __init__(self, z: Tensor, noise: Mapping[str, Draws]) -> None:
        nothing = _At(RecordedNoise(), RecordedNoise())
        self.noise = _At(played_back(WAKE_PASSES, noise), played_back(REM_PASSES, noise))
        self.ach = _At(played_back(WAKE_READINGS, noise), played_back(REM_READINGS, noise))
        self.prior = _At(RecordedNoise(), RecordedNoise([z]))
        self.stimulus = self.eyes = self.neuromodulator = nothing


def _passes(names: Sequence[str], state: NetworkState) -> dict[str, list[Tensor]]:
    return {n: p.somas for n, p in zip(names, state.passes, strict=False)}


def _losses(
    network: Network, algorithm: AlgorithmSection, wake: Moment, rem: Moment
) -> dict[str, Tensor]:
    form, own, dreamt = network.acetylcholine.form, wake.ach.own, rem.ach.own
    assert isinstance(own, OwnReading)
    assert isinstance(dreamt, OwnReading)
    gamma = getattr(algorithm, "gamma", 1.0)
    losses = {
        "disc_wake": own.reading.level,
        "disc_sleep": dreamt.reading.level,
        "disc_wake_for_inference": own.teaching_level,
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
    weight = getattr(algorithm, "kl", 0.0)
    inference = gamma * own.teaching_level.mean() + weight * losses["kl_from_standard_normal"]
    predicted = gamma * losses["generator_per_layer"].sum()
    if isinstance(wake.state.graph, Graph) and isinstance(rem.state.graph, Graph):
        seen, slept = wake.state.graph.losses, rem.state.graph.losses
        descent = slept["readout"].mean() - seen["readout"].mean()
        losses["readout_penalty_wake"] = seen["readout_penalty"]
        losses["readout_penalty_sleep"] = slept["readout_penalty"]
        penalties = seen["readout_penalty"] + slept["readout_penalty"]
        losses["readout_total"] = (1 - gamma) * (descent + penalties)
        inference = inference + losses["readout_total"]
        sent = slept.get("readout_for_generator", slept["readout"])
        predicted = predicted - (1 - gamma) * sent.mean()
        losses |= {"readout_wake": seen["readout"], "readout_sleep": slept["readout"]}
    return {**losses, "inference_total": inference, "generator_total": predicted}


def _changes(
    network: Network, moments: Sequence[Moment]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    gradients: dict[str, Tensor] = {}
    after = {name: t.clone() for name, t in running_statistics(network).items()}
    for kind in network.kinds:
        deltas = [m.deltas[kind].tensors for m in moments if kind in m.deltas]
        ascent = {
            name: torch.stack([tensors[name] for tensors in deltas]).sum(0) for name in deltas[0]
        }
        named = to_published(network, kind, ascent)
        gradients |= {name: -tensor for name, tensor in named.items()}
        after |= to_published(network, kind, network.parameters(kind))
    return gradients, after
