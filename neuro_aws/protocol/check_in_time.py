"""What a schema cannot see of sequences, recurrent networks and the theories that learn them."""

from collections.abc import Iterator

from neuro_aws.phase import Phase
from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.perturb import PERTURBATIONS, Perturbation
from neuro_aws.protocol.schema import Arm, ProtocolSpec
from neuro_aws.protocol.theories import THEORIES

Found = Iterator[tuple[KeyPath, str]]


def check_theory(spec: ProtocolSpec) -> Found:
    """Yield a theory that is none of this kind of network."""
    in_time = spec.network.recurrent is not None
    if spec.algorithm.in_time is not None and spec.algorithm.in_time != in_time:
        kind = "a recurrent network" if in_time else "layers without recurrence"
        able = [name for name, t in THEORIES.items() if t.settings.in_time in (in_time, None)]
        message = f"{spec.algorithm.name} has no form for {kind}; " + ", ".join(able)
        yield ("algorithm", "name"), f"{message} {'has' if len(able) == 1 else 'have'}"


def check_sequence(spec: ProtocolSpec) -> Found:
    """Yield a network and stimuli of which one is over time and the other is not, or not so."""
    given, shown = spec.network.recurrent, spec.stimulus.sequence
    if shown is None:
        if spec.stimulus.pixels is not None:
            message = f"reads sequences; {spec.stimulus.source} as set up here has none"
            yield ("network", "recurrent"), message
        return
    steps, symbols = shown
    if given is None or (given.steps, given.symbols) != (steps, symbols):
        where = "source" if given is None else "recurrent"
        yield (
            ("stimulus", where) if given is None else ("network", where),
            f"{spec.stimulus.source} as set up here are {steps} steps of {symbols} symbols; "
            f"write `network: {{recurrent: {{symbols: {symbols}, steps: {steps}}}}}`",
        )


def phases_of(spec: ProtocolSpec, arm: Arm, p: Perturbation, settled: bool) -> tuple[Phase, ...]:
    """Return the phases in which an action can have an effect; on ACh: in which it teaches.

    Where these are not the settings that the arm runs under (``settled``), or not yet its own
    theory, any phase may be one.
    """
    entry = PERTURBATIONS[p.action]
    if entry.slot != "neuromodulator" or set(entry.phases) != {Phase.WAKE}:
        return entry.phases
    whole, name = arm.set.get("algorithm"), arm.set.get("algorithm.name", spec.algorithm.name)
    own = whole.get("name", name) if isinstance(whole, dict) else name
    if not settled or own != spec.algorithm.name:
        return tuple(Phase)
    return spec.algorithm.taught_in or entry.phases
