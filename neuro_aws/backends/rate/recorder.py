"""What is recorded of a rate network, step by step."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuro_aws.model.network import Network
from neuro_aws.model.state import AcetylcholineSignal, Changes, Deltas, NetworkState
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, Projection
from neuro_aws.protocol.columns import PHASE_CODES, layout, recorded_units, weight_shapes
from neuro_aws.protocol.schedule import StepSpec
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.recording.writer import Writer


class Recorder(Writer):
    """The recording of one segment of one animal's life."""

    def __init__(self, folder: Path, spec: ProtocolSpec, network: Network, first_part: int) -> None:
        super().__init__(folder, layout(spec), first_part)
        self.bytes = 0
        self.spec = spec
        self.network = network
        self._weights = list(weight_shapes(spec))
        self._names = self._plasticity_names()
        self._counts = {
            FEEDFORWARD: [len(layer.feedforward) for layer in network.layers],
            FEEDBACK: [len(layer.feedback) for layer in network.layers],
            DISCRIMINATOR: [1] * (network.depth + 1),
        }
        self._spans = {p: [t.numel() for t in network.parameters(p)] for p in network.projections}

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
        here = "neuromodulators"
        spread, mean = torch.std_mean(ach.own.reading.level)
        gate = ach.gate if isinstance(ach.gate, float) else float(ach.gate.mean())
        self.put(f"{here}/step", spec.step)
        self.put(f"{here}/phase", PHASE_CODES[spec.phase])
        self.put(f"{here}/ach", mean.item())
        self.put(f"{here}/ach_spread", spread.item())
        self.put(f"{here}/release", ach.release.mean().item())
        self.put(f"{here}/gate", gate)

    def plasticity(self, spec: StepSpec, deltas: Deltas, changes: Changes) -> None:
        """Record the teaching signal's size, and raw and applied changes by layer."""
        self.put("plasticity/step", spec.step)
        self.put("plasticity/phase", PHASE_CODES[spec.phase])
        taught = deltas[FEEDFORWARD].teaching if FEEDFORWARD in deltas else None
        lengths = [0.0] * self.network.depth
        if taught is not None:
            root = taught[0].shape[0] ** 0.5
            lengths = [x / root for x in torch.stack(torch._foreach_norm(taught)).tolist()]
        for layer, length in enumerate(lengths, start=1):
            self.put(f"plasticity/layer{layer}/teaching", length)
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
                self._rows[f"{name}_{kind}"].append(0.0)
            return
        squares = [x * x for x in torch.stack(torch._foreach_norm(list(tensors))).tolist()]
        start = 0
        for name, size in zip(names, self._counts[projection], strict=True):
            self._rows[f"{name}_{kind}"].append(sum(squares[start : start + size]) ** 0.5)
            start += size

    def activity(self, spec: StepSpec, state: NetworkState) -> None:
        """Record batch means of somata and dendrites of the chosen units."""
        for record in self.spec.record.activity:
            if spec.nth % record.every:
                continue
            here, layer = f"activity/layer{record.layer}", state.layers[record.layer]
            units = recorded_units(record, self.spec)
            self.put(f"{here}/step", spec.step)
            self.put(f"{here}/soma", _by_unit(layer.soma)[units].cpu().numpy())
            self.put(f"{here}/dendrite", self._dendrite(state, record.layer, units))

    def _dendrite(self, state: NetworkState, layer: int, units: list[int]) -> Any:
        if layer == self.network.depth:
            return np.full(len(units), np.nan, "f4")
        predicted = state.layers[layer].dendrite
        if predicted is None:
            predicted = self.network.layers[layer].predict(state.layers[layer + 1].soma)
        return _by_unit(predicted.rate)[units].cpu().numpy()

    def weights(self, step: int) -> None:
        """Record all weights."""
        tensors = [t for p in self.network.projections for t in self.network.parameters(p)]
        self.put("weights/step", step)
        for name, tensor in zip(self._weights, tensors, strict=False):
            kept = tensor.detach().cpu().numpy().astype("f4")
            self.bytes += kept.nbytes
            self.put(f"weights/{name}", kept)

    def images(self, step: int, dreams: Tensor, predicted: Tensor) -> None:
        """Record pictures of dreams and of predictions."""
        self.put("images/step", step)
        for name, pictures in (("dreams", dreams), ("predicted", predicted)):
            self.bytes += pictures.numel()
            self.put(f"images/{name}", pictures.numpy())

    def forget(self) -> None:
        """Drop the rows gathered so far."""
        super().forget()
        self.bytes = 0

    @property
    def rows(self) -> int:
        """Rows of the fastest dataset that wait to be written."""
        return len(self._rows["neuromodulators/step"])


def _by_unit(activity: Tensor) -> Tensor:
    """Return the mean over the batch of each unit; of each channel, where layers are maps."""
    return activity.mean((0, 2, 3)) if activity.dim() == 4 else activity.mean(0)
