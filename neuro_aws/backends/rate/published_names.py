"""The names under which the published code keeps its parameters, for a convolutional network.

    inference/inference_{i+1}from{i}_conv.conv1.weight, .bn1.weight, .bn1.bias, .bn1.running_*
    generator/generative_{i+1}to{i}_conv.weight, .bias
    discriminator/linear{i}{i+1}.weight, .bias, linear2.weight, .bias
    readout/readout.weight, .bias

Its discriminator reads a state channel by channel, with the state's spread behind; here positions
come first, channels last, and weights are kept by state (``functional/discriminator``).
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from neuro_aws.functional.discriminator import Weights
from neuro_aws.model.network import Network
from neuro_aws.model.state import Tensors
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, READOUT


def to_published(network: Network, kind: str, tensors: Tensors) -> dict[str, Tensor]:
    """Return tensors of one kind (weights, Deltas or changes) by their published names."""
    if kind in (FEEDFORWARD, FEEDBACK):
        return {_layer_name(name): tensor for name, tensor in tensors.items()}
    if kind == READOUT:
        weight, bias = tensors["readout"], tensors["readout_bias"]
        units, extra = network.shapes[-2], weight[-1:]
        rows = _channels_first(weight[: len(weight) - len(extra)].unsqueeze(0), units)
        joined = torch.cat([rows, extra.unsqueeze(0)], 1)
        return {"readout/readout.weight": joined, "readout/readout.bias": bias.view(1)}
    return _discriminator(network, network.acetylcholine.weights.like(tensors))


def load_published(network: Network, named: Mapping[str, Tensor]) -> None:
    """Put parameters and running statistics, by their published names, into the network."""
    for kind in network.kinds:
        if kind == DISCRIMINATOR:
            values = _by_state(network, named)
        elif kind == READOUT:
            weight, shape = named["readout/readout.weight"], network.shapes[-2]
            units = network.sizes[-2]
            rows = _channels_last(weight[:, :units], shape)[0]
            joined = torch.cat([rows, weight[0, units:]])
            values = {"readout": joined, "readout_bias": named["readout/readout.bias"].view(())}
        else:
            values = {name: named[_layer_name(name)] for name in network.parameters(kind)}
        for name, tensor in network.parameters(kind).items():
            tensor.copy_(values[name])
    for name, tensor in running_statistics(network).items():
        if name in named:
            tensor.copy_(named[name])


def running_statistics(network: Network) -> dict[str, Tensor]:
    """Return the layers' running mean and variance by their published names."""
    found = {}
    for i, layer in enumerate(network.layers):
        kept = layer.buffers()
        where = f"inference/inference_{i + 1}from{i}_conv.bn1"
        if "running_mean" in kept:
            found[f"{where}.running_mean"] = kept["running_mean"]
            found[f"{where}.running_var"] = kept["running_variance"]
    return found


_ENDINGS = {"": "conv1.weight", "bias": "conv1.bias", "scale": "bn1.weight", "shift": "bn1.bias"}
"""What a feedforward tensor's name ends in, here and there."""


def _layer_name(name: str) -> str:
    """Return the published name of a tensor of F or G."""
    kind, into, *ending = name.split("_")
    layer = int(into.removeprefix("into"))
    if kind == FEEDBACK:
        return f"generator/generative_{layer + 1}to{layer}_conv.{ending[0] if ending else 'weight'}"
    where = f"inference/inference_{layer}from{layer - 1}_conv"
    return f"{where}.{_ENDINGS[ending[0] if ending else '']}"


def _channels_first(rows: Tensor, shape: tuple[int, ...]) -> Tensor:
    channels, high, wide = shape
    return rows.view(-1, high, wide, channels).permute(0, 3, 1, 2).flatten(1)


def _channels_last(rows: Tensor, shape: tuple[int, ...]) -> Tensor:
    return rows.view(-1, *shape).permute(0, 2, 3, 1).flatten(1)


def _discriminator(network: Network, weights: Weights) -> dict[str, Tensor]:
    found, shapes = {}, network.shapes
    pairs = len(shapes) - 1
    hidden = weights.bias.shape[0] // pairs
    for i in range(pairs):
        columns = []
        for j, lower in ((i, True), (i + 1, False)):
            # A state inside is read by two pairs: the one below it comes first.
            own = slice(hidden, None) if lower and i > 0 else slice(0, hidden)
            columns.append(_channels_first(weights.reading[j][own], shapes[j]))
            if weights.spread:
                columns.append(weights.spread[j][own].unsqueeze(1))
        found[f"discriminator/linear{i}{i + 1}.weight"] = torch.cat(columns, 1)
        bias = weights.bias[i * hidden : (i + 1) * hidden]
        found[f"discriminator/linear{i}{i + 1}.bias"] = bias
    found["discriminator/linear2.weight"] = weights.readout.unsqueeze(0)
    if weights.offset:
        found["discriminator/linear2.bias"] = weights.offset[0].view(1)
    return found


def _by_state(network: Network, named: Mapping[str, Tensor]) -> Tensors:
    shapes, sizes = network.shapes, network.sizes
    pairs, extra = len(shapes) - 1, int(bool(network.acetylcholine.weights.spread))
    reading: list[list[Tensor]] = [[] for _ in shapes]
    spread: list[list[Tensor]] = [[] for _ in shapes]
    for i in range(pairs):
        joint = named[f"discriminator/linear{i}{i + 1}.weight"]
        below, above = torch.split(joint, [sizes[i] + extra, sizes[i + 1] + extra], 1)
        for j, part in ((i, below), (i + 1, above)):
            reading[j].append(_channels_last(part[:, : sizes[j]], shapes[j]))
            spread[j].append(part[:, sizes[j] :].flatten())
    bias = torch.cat([named[f"discriminator/linear{i}{i + 1}.bias"] for i in range(pairs)])
    own = network.acetylcholine.weights
    offset = [named["discriminator/linear2.bias"].view(())] if own.offset else []
    return Weights(
        [torch.cat(parts) for parts in reading],
        bias,
        named["discriminator/linear2.weight"][0],
        [torch.cat(parts) for parts in spread] if extra else [],
        offset,
    ).tensors
