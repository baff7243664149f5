"""The laws that every algorithm obeys, a user's own too: ``neuro-aws check-algorithm``."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from neuro_aws.algorithms.base import CHANGES
from neuro_aws.backends.rate.build import Animal, build_animal
from neuro_aws.backends.rate.engine import Engine, Streams
from neuro_aws.errors import NeuroAWSError
from neuro_aws.model.network import Network
from neuro_aws.perturbations import Slots
from neuro_aws.phase import NREM, REM, WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.schedule import Schedule
from neuro_aws.protocol.schema import Block, Period

PROTOCOL = """
schema_version: 3
name: conformance
stimulus: {source: digits, batch: 16}
network: {layers: [64, 20, 6], precision: float64, discriminator: {hidden: 8}}
schedule: [{name: all, cycles: 5, phases: [{wake: 1}, {nrem: 1}, {rem: 1}]}]
"""
"""A small network that passes through all phases."""

PHASES = {WAKE: (Block(wake=1),), NREM: (Block(nrem=1),), REM: (Block(rem=1),)}
ALL = (Block(wake=1), Block(nrem=1), Block(rem=1))

Make = Callable[[], Animal]
"""Makes the same animal again and again."""


def maker(protocol: Protocol) -> Make:
    """Return what makes the first animal of a protocol anew."""
    return lambda: build_animal(protocol.spec, 0, torch.device("cpu"))


def weights(network: Network) -> dict[str, Tensor]:
    """Return all weights by name."""
    return {name: t for kind in network.kinds for name, t in network.parameters(kind).items()}


def engine(living: Animal, phases: tuple[Block, ...], scale: float = 1.0) -> Engine:
    """Return the loop that runs an animal through five cycles of some phases."""
    schedule = Schedule((Period(name="all", cycles=5, phases=phases),))
    slots = Slots(scales=dict.fromkeys(living.network.kinds, scale))
    streams = Streams(0, living.dataset.train.dtype, torch.device("cpu"))
    return Engine(
        living.network,
        living.algorithm,
        living.updates,
        living.dataset,
        schedule,
        streams,
        16,
        lambda spec: slots,
    )


def after(living: Animal, phases: tuple[Block, ...] = ALL, scale: float = 1.0) -> dict[str, Tensor]:
    """Return copies of the weights at the end of five cycles."""
    running = engine(living, phases, scale)
    for step in range(running.schedule.steps):
        running.step(step)
    return {name: tensor.clone() for name, tensor in weights(living.network).items()}


def changed(before: dict[str, Tensor], later: dict[str, Tensor]) -> list[str]:
    """Return the names of the weights that are not the same to the bit."""
    return [name for name in before if not torch.equal(before[name], later[name])]


def copies(living: Animal) -> dict[str, Tensor]:
    """Return copies of the weights as they are."""
    return {name: tensor.clone() for name, tensor in weights(living.network).items()}


def shapes(make: Make) -> str | None:
    """Hold every Delta of the first cycles against the weights, as every run does."""
    living = make()
    running = engine(living, ALL)
    for step in range(6):
        for kind, delta in running.step(step).deltas.items():
            for name, tensor in delta.tensors.items():
                if not bool(torch.isfinite(tensor).all()):
                    return f"the Delta of {kind}, {name} is not finite"
    return None


def repeats(make: Make) -> str | None:
    """Run twice from the start."""
    differing = changed(after(make()), after(make()))
    return f"{differing[0]} is another one the second time" if differing else None


def scale_of_zero(make: Make) -> str | None:
    """Run with a factor of 0 on every change."""
    living = make()
    before = copies(living)
    moved = changed(before, after(living, scale=0.0))
    if moved:
        return f"{moved[0]} changed all the same"
    kept = [p for p, rule in living.updates.plasticity.items() if rule.moments.count]
    return f"the optimiser of {kept[0]} moved all the same" if kept else None


def deltas_only(make: Make) -> str | None:
    """Ask for Deltas without applying them."""
    living = make()
    running = engine(living, ALL)
    for step in range(3):
        before = copies(living)
        phase = running.schedule(step).phase
        if moved := changed(before, _asked(running, step)):
            return f"{moved[0]} changed in {phase} before its Delta was applied"
    return None


def _asked(running: Engine, step: int) -> dict[str, Tensor]:
    spec, network = running.schedule(step), running.network
    streams = running.streams
    autograd = getattr(running.algorithm, "uses_autograd", False)
    with torch.inference_mode(not autograd):
        if spec.phase is WAKE:
            given, _ = running.dataset.sample(streams.stimulus.at(step), running.batch)
        else:
            given = network.prior(running.batch, streams.prior.at(step))
        noise = streams.noise.at(step)
        state = running.algorithm.propagate(network, given, spec.phase, noise, {})
        signal = network.acetylcholine(state, streams.ach.at(step))
        running.algorithm.deltas(network, state, signal, spec.phase)
    return weights(network)


def declared_phases(make: Make) -> str | None:
    """Run each phase alone: nothing changes that is not declared for it."""
    for phase, blocks in PHASES.items():
        living = make()
        kinds = getattr(living.algorithm, "changes", CHANGES).get(phase, ())
        allowed = {n for kind in kinds for n in living.network.parameters(kind)}
        before = copies(living)
        moved = [n for n in changed(before, after(living, blocks)) if n not in allowed]
        if moved:
            return f"{moved[0]} changed in {phase}, which `changes` does not say"
    return None


@dataclass(frozen=True)
class Law:
    """A law, and the check that says how it is broken, or None."""

    name: str
    check: Callable[[Make], str | None]


LAWS = (
    Law("Deltas have the names and shapes of the weights and are finite", shapes),
    Law("a reset repeats the run to the bit", repeats),
    Law("a factor of 0 changes neither weights nor optimisers", scale_of_zero),
    Law("asking for Deltas changes no weight", deltas_only),
    Law("nothing changes in a phase that is not declared for it", declared_phases),
)


def verdicts(make: Make) -> Iterator[tuple[str, str | None]]:
    """Yield every law's name, and how it is broken or None."""
    for law in LAWS:
        try:
            yield law.name, law.check(make)
        except NeuroAWSError as error:
            yield law.name, str(error)
        except Exception as error:  # somebody's code may raise anything
            said = " ".join(str(error).split()) or "no more is known"
            yield law.name, f"{type(error).__name__}: {said[:200]}"
