"""What is recorded of a rate network, step by step."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuro_aws.backends.rate.engine import Moment
from neuro_aws.functional.shapes import by_unit
from neuro_aws.model.network import Network
from neuro_aws.model.state import AcetylcholineSignal, Changes, Deltas, NetworkState
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, Projection
from neuro_aws.protocol.columns import PHASE_CODES, recorded_units
from neuro_aws.protocol.schedule import StepSpec
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.recording.writer import Writer


class Recorder:
    """What goes into the recording of one branch of one animal, step by step."""

    def __init__(self, spec: ProtocolSpec, network: Network, out: Writer) -> None:
        self.spec = spec
        self.network = network
        self.out = out
        self._names = self._plasticity_names()
        self._counts = {
            FEEDFORWARD: [len(layer.feedforward) for layer in network.layers],
            FEEDBACK: [len(layer.feedback) for layer in network.layers],
            DISCRIMINATOR: [1] * (network.depth + 1),
        }
        self._spans = {p: [t.numel() for t in network.parameters(p)] for p in network.projections}

    def step(self, moment: Moment, perturbations: Iterable[str]) -> None:
        """Record what the protocol asks for of one step."""
        spec, record = moment.spec, self.spec.record
        if spec.nth % record.ach.every == 0:
            self.signals(spec, moment.ach)
        if spec.nth % record.plasticity.every == 0:
            self.plasticity(spec, moment.deltas, moment.changes)
        if record.activity:
            self.activity(spec, moment.state)
        here, after = spec.step, spec.step + 1
        self.out.interval("phases", here, after, str(spec.phase))
        for words in perturbations:
            self.out.interval("perturbations", here, after, words)

    def _plasticity_names(self) -> dict[Projection, list[str]]:
        pairs = range(self.network.depth)
        return {
            FEEDFORWARD: [f"plasticity/layer{i + 1}/feedforward" for i in pairs],
            FEEDBACK: [f"plasticity/layer{i}/feedback" for i in pairs],
            DISCRIMINATOR: [
                f"plasticity/layer{j}/discriminator" for j in range(self.network.depth + 1)
            ],
        }

    def signals(self, spec: StepSpec, ach: AcetylcholineSignal) -> None:
        """Record ACh, its release and its gate."""
        put = self.out.put
        here = "neuromodulators"
        spread, mean = torch.std_mean(ach.own.reading.level)
        gate = ach.gate if isinstance(ach.gate, float) else float(ach.gate.mean())
        put(f"{here}/step", spec.step)
        put(f"{here}/phase", PHASE_CODES[spec.phase])
        put(f"{here}/ach", mean.item())
        put(f"{here}/ach_spread", spread.item())
        put(f"{here}/release", ach.release.mean().item())
        put(f"{here}/gate", gate)

    def plasticity(self, spec: StepSpec, deltas: Deltas, changes: Changes) -> None:
        """Record the teaching signal's size, and raw and applied changes by layer."""
        put = self.out.put
        put("plasticity/step", spec.step)
        put("plasticity/phase", PHASE_CODES[spec.phase])
        taught = deltas[FEEDFORWARD].teaching if FEEDFORWARD in deltas else None
        lengths = [0.0] * self.network.depth
        if taught is not None:
            root = taught[0].shape[0] ** 0.5
            lengths = [x / root for x in torch.stack(torch._foreach_norm(taught)).tolist()]
        for layer, length in enumerate(lengths, start=1):
            put(f"plasticity/layer{layer}/teaching", length)
        for projection, names in self._names.items():
            delta, change = deltas.get(projection), changes.get(projection)
            self._sizes(names, "raw", projection, delta.tensors if delta else None)
            pieces = None if change is None else torch.split(change, self._spans[projection])
            self._sizes(names, "applied", projection, pieces)

    def _sizes(
        self,
        names: list[str],
        kind: str,
        projection: Projection,
        tensors: Sequence[Tensor] | None,
    ) -> None:
        if tensors is None:
            for name in names:
                self.out.put(f"{name}_{kind}", 0.0)
            return
        squares = [x * x for x in torch.stack(torch._foreach_norm(list(tensors))).tolist()]
        start = 0
        for name, size in zip(names, self._counts[projection], strict=True):
            self.out.put(f"{name}_{kind}", sum(squares[start : start + size]) ** 0.5)
            start += size

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
            predicted = self.network.layers[layer].predict(state.layers[layer + 1].soma)
        return by_unit(predicted.rate)[units].cpu().numpy()
