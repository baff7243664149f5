"""What is recorded of a rate network, step by step."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from neuro_aws.backends.rate.distributed import Team
from neuro_aws.backends.rate.finite import Where
from neuro_aws.backends.rate.moment import Moment
from neuro_aws.backends.rate.samples import put_samples
from neuro_aws.functional.shapes import by_unit
from neuro_aws.model.network import Network
from neuro_aws.model.state import NetworkState
from neuro_aws.phase import WAKE
from neuro_aws.protocol.columns import PHASE_CODES, held_drives, recorded_units
from neuro_aws.protocol.projections import changes_by_layer
from neuro_aws.protocol.schedule import StepSpec
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.recording.writer import Writer

Lengths = dict[Where, float]
"""Of changes, by kind of projection and layer."""


class Recorder:
    """What goes into the recording of one branch of one animal, step by step."""

    def __init__(self, spec: ProtocolSpec, network: Network, out: Writer, team: Team) -> None:
        self.spec = spec
        self.network = network
        self.out = out
        self.team = team
        self._changes = changes_by_layer(network.projections)
        self._held = held_drives(spec)

    def step(self, moment: Moment, perturbations: Iterable[str]) -> Lengths:
        """Record what the protocol asks for of one step.

        Return the lengths of the changes that were applied, if they were recorded.
        """
        lengths: Lengths = {}
        spec, record = moment.spec, self.spec.record
        if spec.nth % record.ach.every == 0:
            self.signals(moment)
        if spec.nth % record.plasticity.every == 0:
            lengths = self.plasticity(moment)
        if record.activity:
            self.activity(spec, moment.state)
        if self._held and spec.phase is WAKE and spec.nth % record.homeostasis.every == 0:
            self.homeostasis(spec)
        every = record.samples.every
        if every and spec.phase is WAKE and spec.nth % every == 0:
            put_samples(self.out, moment, self.network.depth, self.team)
        here, after = spec.step, spec.step + 1
        self.out.interval("phases", here, after, str(spec.phase))
        for words in perturbations:
            self.out.interval("perturbations", here, after, words)
        return lengths

    def signals(self, moment: Moment) -> None:
        """Record ACh, its release and its gate."""
        put, found, here = self.out.put, moment.neuromodulators(), "neuromodulators"
        put(f"{here}/step", moment.spec.step)
        put(f"{here}/phase", PHASE_CODES[moment.spec.phase])
        put(f"{here}/ach", found.ach)
        put(f"{here}/ach_spread", found.spread)
        put(f"{here}/release", found.release)
        put(f"{here}/gate", found.gate)

    def plasticity(self, moment: Moment) -> Lengths:
        """Record the teaching signal's size, and raw and applied changes by layer."""
        put, found = self.out.put, moment.lengths()
        put("plasticity/step", moment.spec.step)
        put("plasticity/phase", PHASE_CODES[moment.spec.phase])
        for layer, length in enumerate(found.teaching, start=1):
            put(f"plasticity/layer{layer}/teaching", length)
        lengths: Lengths = {}
        for kind, layers in self._changes.items():
            raw, applied = found.raw.get(kind, {}), found.applied.get(kind, {})
            for layer in layers:
                put(f"plasticity/layer{layer}/{kind}_raw", raw.get(layer, 0.0))
            for layer in layers:
                lengths[kind, layer] = applied.get(layer, 0.0)
                put(f"plasticity/layer{layer}/{kind}_applied", lengths[kind, layer])
        return lengths

    def homeostasis(self, spec: StepSpec) -> None:
        """Record the running statistics of the drives that are held, and the thresholds."""
        here = "homeostasis"
        self.out.put(f"{here}/step", spec.step)
        for layer, what in self._held:
            around = self.network.layers[layer - 1 if what == "soma" else layer]
            homeostat = getattr(around.homeostats, what)
            path = f"{here}/layer{layer}/{what}"
            # Copies: the tensors go on changing in place while rows wait to be written.
            self.out.put(f"{path}_mean", homeostat.kept.mean.cpu().numpy().copy())
            self.out.put(f"{path}_variance", homeostat.kept.variance.cpu().numpy().copy())
            if what == "soma":
                threshold = around.feedforward[1].cpu().numpy().copy()
                self.out.put(f"{here}/layer{layer}/threshold", threshold)

    def activity(self, spec: StepSpec, state: NetworkState) -> None:
        """Record batch means of somata and dendrites of the chosen units."""
        put = self.out.put
        for record in self.spec.record.activity:
            if spec.nth % record.every:
                continue
            here, layer = f"activity/layer{record.layer}", state.layers[record.layer]
            units = recorded_units(record, self.spec)
            put(f"{here}/step", spec.step)
            put(f"{here}/soma", by_unit(layer.soma)[units].cpu().numpy())
            put(f"{here}/dendrite", self._dendrite(state, record.layer, units))

    def _dendrite(self, state: NetworkState, layer: int, units: list[int]) -> Any:
        if layer == self.network.depth:
            return np.full(len(units), np.nan, "f4")
        predicted = state.layers[layer].dendrite
        if predicted is None:
            above, asleep = state.layers[layer + 1].soma, state.phase is not WAKE
            predicted = self.network.layers[layer].predict(above, asleep)
        return by_unit(predicted.rate)[units].cpu().numpy()
