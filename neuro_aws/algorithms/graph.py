"""A step that autograd differentiates: what it sees of a network, and the gradients it returns."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from neuro_aws.functional.shapes import rows
from neuro_aws.model.network import Network
from neuro_aws.model.state import NetworkState, Tensors


@contextmanager
def leaves_of(network: Network, *kinds: str) -> Iterator[dict[str, Tensors]]:
    """Let autograd see the weights of some kinds; memory is shared with the network's."""
    kept = {kind: network.parameters(kind) for kind in kinds}
    leaves: dict[str, Tensors] = {}
    for kind, tensors in kept.items():
        leaves[kind] = {name: t.detach().requires_grad_() for name, t in tensors.items()}
        network.put(kind, leaves[kind])
    try:
        with torch.enable_grad():
            yield leaves
    finally:
        for kind, tensors in kept.items():
            network.put(kind, tensors)


def external(below: Tensor, weights: Tensors) -> Tensor:
    """Return d = w . h_{N-1} + b, the logit of each sample to come from outside."""
    return rows(below) @ weights["external"][0] + weights["external_bias"]


def detached(state: NetworkState) -> NetworkState:
    """Return the state without its graph."""
    return state.map(torch.Tensor.detach)


def gradients(objective: Tensor, leaves: Mapping[str, Tensors], *kinds: str) -> list[Tensors]:
    """Return d objective / d leaves of each kind, 0 where there is none."""
    tensors = [t for kind in kinds for t in leaves[kind].values()]
    found = torch.autograd.grad(objective, tensors, allow_unused=True, retain_graph=True)
    each = iter(found)
    return [
        {
            name: torch.zeros_like(leaf) if (grad := next(each)) is None else grad
            for name, leaf in leaves[kind].items()
        }
        for kind in kinds
    ]
