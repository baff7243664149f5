"""From the Deltas of a step to changes of the weights, as in ``algorithms/updates.py``."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neuro_aws.algorithms.updates import Due, Plasticity, Updates, counts
from neuro_aws.backends.rate.compiled.memory import Array
from neuro_aws.backends.rate.compiled.optimisers import adam, descent
from neuro_aws.backends.rate.compiled.views import Seen, Views
from neuro_aws.functional.optimisers import Adam, Moments
from neuro_aws.model.network import Network
from neuro_aws.perturbations import Slots
from neuro_aws.phase import FEEDFORWARD, WAKE


@dataclass
class Kept:
    """A rule's moments as arrays, as long as they are its own: loading a state replaces them."""

    moments: Moments
    first: Array
    second: Array


class Changing:
    """Collects Deltas, and changes the weights of each kind when it is time."""

    def __init__(self, network: Network, updates: Updates, views: Views) -> None:
        self.updates, self.views = updates, views
        self._weights = {kind: network.flat(kind).numpy() for kind in network.kinds}
        self._none = np.zeros(0, next(iter(self._weights.values())).dtype)
        self._nowhere = np.zeros(0, np.uint8)
        self._sums = {
            kind: torch.zeros_like(network.flat(kind))
            for kind, rule in updates.plasticity.items()
            if rule.when == "cycle" or rule.clip is not None
        }
        self._where = {
            kind: rule.thresholds.where.view(torch.uint8).numpy()
            for kind, rule in updates.plasticity.items()
            if rule.thresholds is not None
        }
        self._kept: dict[str, Kept] = {}

    def __call__(self, seen: Seen, slots: Slots) -> dict[str, Tensor]:
        """Change the weights; return the changes by kind."""
        found: dict[str, Tensor] = {}
        for kind, rule in self.updates.plasticity.items():
            if kind in seen.kinds:
                self._collect(kind, rule, seen, slots)
            due = rule.due(seen.spec.cycle_ends)
            if due is not None:
                self._change(kind, rule, due)
                found[kind] = self.views.changes[kind]
        return found

    def _collect(self, kind: str, rule: Plasticity, seen: Seen, slots: Slots) -> None:
        """Take a step's Delta into the rule's sum, in memory that lasts until it is applied."""
        gated = kind == FEEDFORWARD and seen.spec.phase is WAKE
        gate = seen.gate if gated else 1.0
        deviation = self.views.deviation if gated and seen.by_sample else None
        scale = slots.scales.get(kind, 1.0)
        if not counts(gate, deviation is not None, scale):
            return
        vector = self.views.vectors[kind]
        if rule.pending.total is None and kind in self._sums:
            vector = self._sums[kind].copy_(vector)
        rule.pending.add([vector], gate, deviation, scale, slots.homeostasis)

    def _change(self, kind: str, rule: Plasticity, due: Due) -> None:
        optimiser, views, kept = rule.optimiser, self.views, self._moments(kind, rule)
        rest = self._none if due.rest is None else due.rest.numpy()
        thresholds, own = self._nowhere, 1.0
        frozen = rule.thresholds is not None and due.opened == 0
        if rule.thresholds is not None:
            own = float(rule.thresholds.rate * due.opened)
            if own != 1.0 or frozen:
                thresholds = self._where[kind]
        weights, change = self._weights[kind], views.changed[kind]
        factor, age = float(due.mean * due.age), float(due.age)
        rule.moments.count += 1
        if isinstance(optimiser, Adam):
            b1, b2 = optimiser.betas
            adam(
                weights, due.total.numpy(), rest, kept.first, kept.second, thresholds, change,
                float(optimiser.rate), float(b1), float(b2), float(optimiser.epsilon),
                rule.moments.count, factor, age, own, frozen,
            )  # fmt: skip
        else:
            rate = float(getattr(optimiser, "rate", 0.0))
            descent(weights, due.total.numpy(), rest, thresholds, change, rate, factor, age, own)

    def _moments(self, kind: str, rule: Plasticity) -> Kept:
        kept = self._kept.get(kind)
        if kept is None or kept.moments is not rule.moments:
            moments = rule.moments
            first, second = (
                self._none if tensor is None else tensor.numpy()
                for tensor in (moments.first, moments.second)
            )
            kept = self._kept[kind] = Kept(moments, first, second)
        return kept
