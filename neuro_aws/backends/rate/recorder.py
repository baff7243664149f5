"""What is recorded of a rate network, step by step."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuro_aws.model.network import Network
from neuro_aws.model.state import AcetylcholineSignal, Changes, Deltas, NetworkState, Tensors
from neuro_aws.phase import FEEDFORWARD
from neuro_aws.protocol.columns import PHASE_CODES, layout, recorded_units, weight_shapes
from neuro_aws.protocol.projections import changes_by_layer
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
        self._changes = changes_by_layer(network.projections)

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
        for kind, layers in self._changes.items():
            delta, change = deltas.get(kind), changes.get(kind)
            parts = None if change is None else self.network.named(kind, change)
            self._sizes(kind, layers, "raw", None if delta is None else delta.tensors)
            self._sizes(kind, layers, "applied", parts)

    def _sizes(
        self, kind: str, layers: dict[int, tuple[str, ...]], what: str, tensors: Tensors | None
    ) -> None:
        """Record the length of what changes by layer, 0 where nothing does."""
        if tensors is None:
            for layer in layers:
                self._rows[f"plasticity/layer{layer}/{kind}_{what}"].append(0.0)
            return
        names = [name for group in layers.values() for name in group]
        norms = torch.stack(torch._foreach_norm([tensors[name] for name in names])).tolist()
        squares = {name: norm * norm for name, norm in zip(names, norms, strict=True)}
        for layer, group in layers.items():
            length = sum(squares[name] for name in group) ** 0.5
            self._rows[f"plasticity/layer{layer}/{kind}_{what}"].append(length)

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
        network = self.network
        tensors = {n: t for kind in network.kinds for n, t in network.parameters(kind).items()}
        self.put("weights/step", step)
        for name in self._weights:
            tensor = tensors[name]
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
