"""Is what an algorithm wants to change what it declared, and does it fit the network's weights?"""

from collections.abc import Iterable, Mapping

from torch import Tensor

from neuro_aws.algorithms.base import CHANGES, GATED, Algorithm
from neuro_aws.errors import NeuroAWSError
from neuro_aws.model.network import Network
from neuro_aws.model.state import Delta, Deltas, Tensors
from neuro_aws.phase import FEEDBACK, FEEDFORWARD, KINDS, Phase


def name_of(algorithm: Algorithm) -> str:
    """Return an algorithm's class as a protocol would name it."""
    kind = type(algorithm)
    return f"{kind.__module__}:{kind.__qualname__}"


def declared(algorithm: Algorithm) -> tuple[dict[Phase, frozenset[str]], frozenset[str]]:
    """Return what an algorithm declares: the kinds it changes, by phase, and those ACh gates."""
    name = name_of(algorithm)
    try:
        said, gated = getattr(algorithm, "changes", CHANGES), getattr(algorithm, "gated", GATED)
    except Exception as error:  # somebody's property may raise anything
        raise _refusal(name, f"`changes` or `gated` cannot be read ({error})", "") from error
    if not isinstance(said, Mapping) or not all(map(_kinds, (gated, *said.values()))):
        next_step = f"Such as changes = {{WAKE: ({FEEDBACK!r},)}}, gated = ({FEEDFORWARD!r},)"
        raise _refusal(name, "`changes` or `gated` holds no names of projections", next_step)
    changes = {phase: frozenset(said.get(phase, ())) for phase in Phase}
    unknown = frozenset(gated).union(*said.values()).difference(KINDS)
    if unknown or not said.keys() <= set(Phase):
        other = ", ".join(sorted({*unknown, *map(str, said.keys() - set(Phase))}))
        raise _refusal(
            name,
            f"declares that it changes {other}",
            f"Phases are {', '.join(Phase)}; kinds are {', '.join(KINDS)}",
        )
    return changes, frozenset(gated)


def _kinds(found: object) -> bool:
    """Say whether something is a collection of names."""
    return isinstance(found, tuple | list | set | frozenset) and all(
        isinstance(kind, str) for kind in found
    )


def _refusal(name: str, what: str, next_step: str) -> NeuroAWSError:
    return NeuroAWSError(what, where=f"algorithm {name}", next_step=next_step)


class DeltaCheck:
    """Holds an algorithm to its declaration at every step, and its Deltas to the weights.

    Names and shapes are looked at when a kind changes for the first time in a phase.
    """

    def __init__(self, algorithm: Algorithm, network: Network, learning: Iterable[str]) -> None:
        """``learning``: the kinds that have settings (rate, optimiser) to learn with."""
        self.name = name_of(algorithm)
        self.network = network
        self.learning = frozenset(learning)
        self.changes, self.gated = declared(algorithm)
        self._seen: set[tuple[Phase, str]] = set()

    def __call__(self, deltas: Deltas, phase: Phase) -> None:
        """Refuse Deltas that were not declared, or that do not fit the weights."""
        if not deltas.keys() <= self.changes[phase]:
            other = ", ".join(sorted(deltas.keys() - self.changes[phase]))
            raise self._error(
                f"changes {other} in {phase}, which it does not declare",
                "Name it in the class attribute `changes`",
            )
        for kind, delta in deltas.items():
            if kind not in self.gated and _is_gated(delta):
                raise self._error(
                    f"gates {kind}, which it does not declare",
                    "Name it in the class attribute `gated`",
                )
            if (phase, kind) not in self._seen:
                self._fits(kind, delta)
                self._seen.add((phase, kind))

    def _fits(self, kind: str, delta: Delta) -> None:
        weights = self.network.parameters(kind)
        if not weights:
            raise self._error(f"changes {kind}, but the network has no such projection", "")
        if kind not in self.learning:
            raise self._error(
                f"changes {kind}, but there are no settings to learn with",
                f"Give algorithm.{kind}",
            )
        if isinstance(delta.gate, Tensor) and delta.gate.dim():
            raise self._error(
                f"Delta.gate of {kind} has shape {_shape(delta.gate)}, not one number",
                "Give its mean over the batch; what the samples add to that is Delta.deviation",
            )
        self._same(kind, weights, delta.tensors, "Delta.tensors")
        if delta.deviation is not None:
            self._same(kind, weights, delta.deviation, "Delta.deviation")

    def _same(self, kind: str, weights: Tensors, found: Tensors, what: str) -> None:
        if not isinstance(found, Mapping):
            raise self._error(
                f"{what} of {kind} is a {type(found).__name__}, not a mapping",
                f"Give a tensor for each of {', '.join(weights)}",
            )
        for name in [*weights, *found]:
            where = f"{what} of {kind} ({self._projection(name)})"
            if name not in found:
                raise self._error(
                    f"{where} has no tensor {name!r}, whose weights have shape "
                    f"{_shape(weights[name])}",
                    "Give every tensor of network.parameters(kind), zeros where nothing changes",
                )
            if name not in weights:
                raise self._error(
                    f"{where} has a tensor {name!r} of shape {_shape(found[name])}, "
                    "which the network has not",
                    f"Its tensors are {', '.join(weights)}",
                )
            if _shape(found[name]) != _shape(weights[name]):
                raise self._error(
                    f"{where} has {name!r} of shape {_shape(found[name])}, "
                    f"the weights have {_shape(weights[name])}",
                    "A Delta has the shape of what it changes, (post, pre)",
                )

    def _projection(self, tensor: str) -> str:
        """Return the projection that a tensor belongs to."""
        for projection in self.network.projections:
            if tensor in projection.tensors:
                return f"projection {projection.name}"
        return "no projection of this network"

    def _error(self, what: str, next_step: str) -> NeuroAWSError:
        return _refusal(self.name, what, next_step)


def _is_gated(delta: Delta) -> bool:
    """Say whether a gate other than 1 acts; of a tensor the host does not ask what it is."""
    return isinstance(delta.gate, Tensor) or delta.gate != 1.0 or delta.deviation is not None


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
