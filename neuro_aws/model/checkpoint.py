"""What is saved of a network: weights by name, statistics, and the state of lateral weights."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from neuro_aws.errors import NeuroAWSError

if TYPE_CHECKING:
    from neuro_aws.model.network import Network

LATERAL, MEMORY = "lateral.", "memory."
"""Prefixes of the state that lateral weights carry, and of the memory that dreams start from."""


def weights(network: "Network") -> dict[str, Tensor]:
    """Return all weights by name."""
    return {name: t for kind in network.kinds for name, t in network.parameters(kind).items()}


def statistics(network: "Network") -> dict[str, Tensor]:
    """Return what changes in a run beside the weights: baseline, prior, running statistics."""
    tensors = {f"ach.{name}": kept for name, kept in network.acetylcholine.buffers().items()}
    tensors |= {f"prior.{name}": kept for name, kept in network.prior.buffers().items()}
    for i, layer in enumerate(network.layers):
        tensors |= {f"layer{i}.{name}": kept for name, kept in layer.buffers().items()}
    return tensors


def state_dict(network: "Network") -> dict[str, Tensor]:
    """Return every tensor that makes the network what it is, by name."""
    tensors = {**weights(network), **statistics(network)}
    memory = network.prior.memory
    if memory is not None:
        tensors |= {MEMORY + name: kept for name, kept in memory.buffers().items()}
    return tensors | {LATERAL + name: kept for name, kept in network.lateral.buffers().items()}


def load_state_dict(network: "Network", tensors: Mapping[str, Tensor]) -> None:
    """Copy every tensor into the network, which must have the same ones."""
    own = state_dict(network)
    if own.keys() != tensors.keys():
        other = ", ".join(sorted(own.keys() ^ tensors.keys())[:6])
        raise NeuroAWSError(
            f"a saved state has other tensors than the network ({other})",
            where="checkpoint",
            next_step="It belongs to another protocol or to an older version; start a new run",
        )
    for name, tensor in own.items():
        if not name.startswith(LATERAL):
            tensor.copy_(tensors[name])
    carried = {n[len(LATERAL) :]: t for n, t in tensors.items() if n.startswith(LATERAL)}
    network.lateral.load(carried)
