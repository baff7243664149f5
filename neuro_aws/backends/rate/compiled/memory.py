"""Memory that a network and the kernels share, and what the kernels are told about the network."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuro_aws.algorithms import Algorithm
from neuro_aws.algorithms.adversarial_wake_sleep import AdversarialWakeSleep
from neuro_aws.algorithms.credit import BackpropCredit, LayerCredit, ScalarCredit
from neuro_aws.algorithms.frozen import Frozen
from neuro_aws.algorithms.wake_sleep import WakeSleep
from neuro_aws.backends.rate.compiled.layout import (
    BACKPROP,
    DENDRITE,
    DOWN,
    DREAM,
    FIRST,
    GRADIENT,
    HELD_BY_NOTHING,
    LAST,
    LAYER,
    NONE,
    NORM,
    OVER_BATCH,
    OVER_TIME,
    PREDICTED,
    READS,
    SCALAR,
    SIZE,
    SOMA,
    START,
    TRANSFER,
    UP,
    Plan,
    Space,
    Weights,
)
from neuro_aws.backends.rate.compiled.rate_functions import NORMALISATION_CODES, TRANSFER_CODES
from neuro_aws.functional.homeostasis import Statistics, Undone
from neuro_aws.model.homeostasis import Homeostat
from neuro_aws.model.network import Network
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD

Array = NDArray[Any]
Covered = AdversarialWakeSleep | WakeSleep | Frozen


class Room:
    """The memory that steps work in, as tensors and as arrays of the same memory."""

    def __init__(self, network: Network, batch: int) -> None:
        self.network, self.batch = network, batch
        self.sizes = network.sizes
        self.starts = _starts(self.sizes)
        bias = network.acetylcholine.weights.bias
        self.dtype, total, hidden = bias.dtype, self.starts[-1], bias.numel()

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=self.dtype)

        self.activity, self.hidden = zeros(12, batch * total), zeros(5, batch, hidden)
        self.gains, self.gained = zeros(total), torch.zeros(len(self.sizes), dtype=torch.bool)
        self._rows: dict[tuple[int, int], Tensor] = {}
        self.pools, self.xi = zeros(2, len(self.sizes), batch), zeros(batch * total)
        self.space = Space(
            self.activity.numpy(), GRADIENT, self.hidden.numpy(), zeros(6, 3, total).numpy(),
            self.pools.numpy(), self.xi.numpy(), self.gains.numpy(), self.gained.numpy(),
        )  # fmt: skip

    def rows(self, what: int, layer: int) -> Tensor:
        """Return a layer's activity (batch, units); the same tensor whenever it is asked for."""
        known = self._rows.get((what, layer))
        if known is None:
            start, stop = (self.batch * at for at in self.starts[layer : layer + 2])
            known = self.activity[what, start:stop].view(self.batch, self.sizes[layer])
            self._rows[what, layer] = known
        return known

    def noise(self, layers: Sequence[int]) -> list[Tensor]:
        """Return where the noise of layers that fire one after the other lies."""
        parts, start = [], 0
        for layer in layers:
            stop = start + self.batch * self.sizes[layer]
            parts.append(self.xi[start:stop].view(self.batch, self.sizes[layer]))
            start = stop
        return parts


def shared_weights(network: Network) -> Weights:
    """Return the network's own weights and statistics as arrays.

    Running statistics are moved into one block of memory; the network keeps views of it.
    """
    starts = _starts(network.sizes)
    dtype = network.flat(FEEDBACK).dtype
    block, undone = (torch.zeros(drives, 2, starts[-1], dtype=dtype) for drives in (3, 2))
    for what, layer, homeostat in held_drives(network):
        parts = block[what, :, starts[layer] : starts[layer + 1]]
        mean, variance = parts[0], parts[1]
        mean.copy_(homeostat.kept.mean)
        variance.copy_(homeostat.kept.variance)
        homeostat.kept = Statistics(mean, variance)
        if homeostat.undone is not None:
            offset, slope = undone[what, :, starts[layer] : starts[layer + 1]]
            offset.copy_(homeostat.undone.offset)
            slope.copy_(homeostat.undone.slope)
            homeostat.undone = Undone(offset, slope)
    up, down, reads = (network.flat(k).numpy() for k in (FEEDFORWARD, FEEDBACK, DISCRIMINATOR))
    baseline = network.acetylcholine.baseline.view(1)
    return Weights(up, down, reads, block.numpy(), undone.numpy(), baseline.numpy())


def held_drives(network: Network) -> list[tuple[int, int, Homeostat]]:
    """Return the drives that are held at a set point: which, of which layer, by what."""
    found = []
    for i, layer in enumerate(network.layers):
        held = layer.homeostats
        each = ((SOMA, i + 1, held.soma), (DENDRITE, i, held.dendrite), (DREAM, i, held.dream))
        found += [(what, at, one) for what, at, one in each if one is not None]
    return found


def return_path(network: Network) -> Array | None:
    """Return the fixed random weights of ``layer_random``, laid out as D's."""
    weights = network.acetylcholine.return_path
    if weights is None:
        return None
    flat = torch.cat([tensor.reshape(-1) for tensor in weights.tensors.values()])
    found: Array = flat.numpy()
    return found


def credit_of(algorithm: Algorithm) -> int:
    """Return the code of how ACh teaches."""
    credit = getattr(algorithm, "credit", None)
    kinds = ((LayerCredit, LAYER), (ScalarCredit, SCALAR), (BackpropCredit, BACKPROP))
    return next((code for kind, code in kinds if isinstance(credit, kind)), NONE)


def plan_of(network: Network, algorithm: Covered) -> Plan:
    """Return what the kernels have to know of a network and its algorithm."""
    sizes, depth = network.sizes, network.depth
    weights = network.acetylcholine.weights
    above = [layer.psi_above for layer in network.layers]
    below = [layer.psi_below for layer in network.layers]
    predicted = [layer.psi_predicted for layer in network.layers]
    rates = [below[0], *above]

    pairs = list(itertools.pairwise(sizes))
    layers = np.zeros((10, depth + 2), np.int64)

    def tell(what: int, values: Sequence[int]) -> None:
        layers[what, : len(values)] = values

    held = np.zeros((3, depth + 1), np.bool_)
    drives = held_drives(network)
    for what, layer, _ in drives:
        held[what, layer] = True
    point = drives[0][2].point if drives else None
    over = HELD_BY_NOTHING
    if point is not None:
        over = OVER_TIME if point.over == "time" else OVER_BATCH
    normalisations = [NORMALISATION_CODES[psi.normalisation] for psi in rates]
    bare = [NORMALISATION_CODES[psi.normalisation] for psi in predicted]
    tell(SIZE, sizes)
    tell(START, _starts(sizes))
    tell(UP, _starts([m * n + m for n, m in pairs]))
    tell(DOWN, _starts([m * n + n for n, m in pairs]))
    tell(READS, _starts([v.numel() for v in weights.reading]))
    tell(FIRST, [u.start for u in weights.units])
    tell(LAST, [u.stop for u in weights.units])
    tell(TRANSFER, [TRANSFER_CODES[psi.transfer.name] for psi in rates])
    tell(NORM, normalisations)
    tell(PREDICTED, [*bare, normalisations[-1]])
    mean = algorithm.reduction == "mean"
    return Plan(
        depth=depth,
        layers=layers,
        held=held,
        factors=np.array([1.0 / n if mean else 1.0 for n in sizes]),
        over=over,
        steps=1.0 if point is None else float(point.steps),
        mean=0.0 if point is None else float(point.mean),
        deviation=1.0 if point is None else float(point.variance) ** 0.5,
        orthogonal=point is not None and over == OVER_TIME and point.orthogonal,
        surrogate=bool(rates[0].surrogate),
        gain_first=bool(network.gain_first),
        sigma=float(network.noise.sigma),
        noisy_bottom=bool(network.noise.bottom),
        laplacian_noise=network.noise.density == "laplacian",
        laplacian=algorithm.density == "laplacian",
        slope=float(network.acetylcholine.form.slope),
        penalty=float(network.acetylcholine.form.penalty),
        credit=credit_of(algorithm),
        running_baseline=bool(
            getattr(getattr(algorithm, "credit", None), "running_baseline", False)
        ),
        kl=float(getattr(algorithm, "kl", 0.0)),
    )


def _starts(parts: Sequence[int]) -> list[int]:
    """Return where parts that lie end to end begin, and where the last one ends."""
    return [0, *itertools.accumulate(parts)]
