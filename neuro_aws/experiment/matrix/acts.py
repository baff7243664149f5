"""What a manipulation can do to waking under a theory, by what the theory declares.

This decides only which cells are not run: those that are 0 by definition, and those of phases that
a theory does not speak of. What happened in the others is read from their recordings.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from neuro_aws.algorithms.declaration import declared
from neuro_aws.backends.rate.build import build_algorithm
from neuro_aws.phase import DISCRIMINATOR, Phase
from neuro_aws.protocol import registry
from neuro_aws.protocol.perturb import PERTURBATIONS, Perturbation
from neuro_aws.protocol.schema import ProtocolSpec

SLEEP = (Phase.NREM, Phase.REM)
NARROWED = ("clamp", "block", "dose", "pair", "yoke", "plasticity")
"""Actions that do nothing in a phase in which what they act on does not learn."""


@dataclass(frozen=True)
class Facts:
    """What a theory declares, with its settings, in a network.

    changes      the kinds of projections that learn, by phase, but for a discriminator that nothing
                 hears
    gated        those of them that ACh gates
    homeostasis  whether drives are held
    phases       the phases that the theory speaks of
    """

    changes: Mapping[Phase, frozenset[str]]
    gated: frozenset[str]
    homeostasis: bool
    phases: tuple[Phase, ...]


def facts_of(spec: ProtocolSpec, phases: tuple[Phase, ...]) -> Facts:
    """Return the facts of the theory that a protocol names."""
    algorithm = build_algorithm(spec.algorithm, spec.network)
    said, gated = declared(algorithm)
    unheard = frozenset() if gated else frozenset({DISCRIMINATOR})
    changes = {phase: kinds - unheard for phase, kinds in said.items()}
    return Facts(changes, gated, spec.network.homeostasis.over != "none", phases)


def acts_in(p: Perturbation, facts: Facts) -> tuple[Phase, ...]:
    """Return the phases of a perturbation in which it can reach what waking hangs on."""
    possible = [q for q in p.during if q in (p.rule.acts_in or PERTURBATIONS[p.action].phases)]
    if p.plasticity is not None:
        scaled = {k for k in type(p.plasticity).model_fields if getattr(p.plasticity, k) != 1}
        return tuple(q for q in possible if facts.changes[q] & scaled)
    if p.block is not None and p.block.homeostasis:
        return tuple(possible) if facts.homeostasis else ()
    if PERTURBATIONS[p.action].slot == "neuromodulator":
        return tuple(q for q in possible if facts.changes[q] & facts.gated)
    if p.deprive_sleep is not None:  # what sleep loses, wake gains: something always happens
        return tuple(p.during)
    return tuple(q for q in possible if facts.changes[q])


def narrowed(perturbations: Iterable[Perturbation], facts: Facts) -> tuple[Perturbation, ...]:
    """Return perturbations without those that can do nothing, and without idle phases of others."""
    found = []
    for p in perturbations:
        phases = acts_in(p, facts)
        if phases and p.action in NARROWED:
            p = p.model_copy(update={"during": phases})
        found += [p] if phases else []
    return tuple(found)


def unread(value: str, facts: Facts) -> bool:
    """Say whether a value is computed from weights alone that learn in no phase of a theory."""
    kind = registry.value(value).weights_of
    return bool(kind) and not any(kind in kinds for kinds in facts.changes.values())


def missing(perturbations: Iterable[Perturbation], facts: Facts) -> str:
    """Return what a theory has not that a manipulation is done to; empty: it has it all."""
    for p in perturbations:
        if p.block is not None and p.block.homeostasis and not facts.homeostasis:
            return "no homeostasis"
        if p.deprive_sleep is not None and not set(SLEEP) & set(facts.phases):
            return "no sleep"
        if not set(p.during) & set(facts.phases):
            return "no " + " or ".join(phase.upper() for phase in p.during)
    return ""
