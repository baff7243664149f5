"""The projections that a network declares: what connects what, and the tensors they consist of.

Learning rules, rates, factors, optimisers and Deltas go by the kind of a projection; tensors go by
name, and nothing is matched by its position. No torch in here: a recording is laid out, and a
protocol checked, from the declaration alone.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, KINDS, LATERAL, READOUT
from neuro_aws.protocol.model import NetworkSection

Shape = tuple[int, ...]

KERNEL = 4
"""Side of a strided convolution's kernel; the top one is as wide as the maps below it."""

HALVINGS = 4
"""Strided layers of a convolutional network: each halves the side."""


GATES, DIRECTIONS, RECTIFIED = 3, 2, 3
"""Of gated units: weights onto reset gate, update gate and candidate. Of a D over sequences: both
directions of time, and layers of rectified units that read them."""


@dataclass(frozen=True, slots=True)
class Projection:
    """One set of connections.

    name     such as feedforward_into1, feedback_into0, lateral_in1, discriminator, readout
    kind     what it is to a learning rule: one of ``neuro_aws.phase.KINDS``
    source   the layer that it comes from (None: all of them)
    target   the layer that it acts on (None: a discriminator, which is none)
    tensors  the shape of each of its tensors, by the name under /weights in a recording
    """

    name: str
    kind: str
    source: int | None
    target: int | None
    tensors: Mapping[str, Shape]


def declared(
    network: NetworkSection, with_readout: bool = False, extra: Iterable[Projection] = ()
) -> tuple[Projection, ...]:
    """Return every projection of a network, kind by kind and from the bottom up.

    ``with_readout``: with the readout discriminator that some algorithms bring along; ``extra``:
    with what else a theory asks for (``AlgorithmSection.projections``).
    """
    top = len(network.layers) - 1
    found = [_feedforward(network, i) for i in range(top)]
    found += [_feedback(network, i) for i in range(top)]
    found += [_lateral(network, layer) for layer in sorted(network.lateral)]
    if network.recurrent is not None:
        found.append(_gated(network))
    found.append(Projection(DISCRIMINATOR, DISCRIMINATOR, None, None, _discriminator(network)))
    if with_readout:
        tensors: dict[str, Shape] = {READOUT: (units(network)[-2] + 1,), f"{READOUT}_bias": ()}
        found.append(Projection(READOUT, READOUT, top - 1, None, tensors))
    found += extra
    return tuple(sorted(found, key=lambda projection: KINDS.index(projection.kind)))


def kinds(projections: tuple[Projection, ...]) -> tuple[str, ...]:
    """Return the kinds among projections, in the order of ``KINDS``."""
    there = {projection.kind for projection in projections}
    return tuple(kind for kind in KINDS if kind in there)


def changes_by_layer(projections: tuple[Projection, ...]) -> dict[str, dict[int, tuple[str, ...]]]:
    """Return the tensors whose changes are recorded together: kind -> layer -> names.

    A projection counts for the layer that it acts on, the discriminator's weights for the layer
    that they read. The readout discriminator is not among them.
    """
    found: dict[str, dict[int, tuple[str, ...]]] = {}
    top = 0
    for projection in projections:
        if projection.target is not None:
            layers = found.setdefault(projection.kind, {})
            there = layers.get(projection.target, ())
            layers[projection.target] = (*there, *projection.tensors)
            top = max(top, projection.target)
    return {**found, DISCRIMINATOR: {j: (f"{DISCRIMINATOR}_from{j}",) for j in range(top + 1)}}


def kernel(network: NetworkSection, layer: int) -> int:
    """Return the side of the kernel between ``layer`` and the one above (dcgan)."""
    assert network.dcgan is not None
    return network.dcgan.side >> HALVINGS if layer == HALVINGS else KERNEL


def side(network: NetworkSection, layer: int) -> int:
    """Return the side of a layer's maps (dcgan)."""
    assert network.dcgan is not None
    return 1 if layer > HALVINGS else network.dcgan.side >> layer


def units(network: NetworkSection) -> tuple[int, ...]:
    """Return the units of h_0 ... h_N, positions counted."""
    if network.recurrent is not None:
        return tuple(n * network.recurrent.steps for n in network.layers)
    if network.dcgan is None:
        return network.layers
    return tuple(n * side(network, layer) ** 2 for layer, n in enumerate(network.layers))


def _feedforward(network: NetworkSection, i: int) -> Projection:
    below, above = network.layers[i : i + 2]
    name = f"{FEEDFORWARD}_into{i + 1}"
    if network.recurrent is not None:
        gated = {name: (above, GATES, below), f"{name}_bias": (above, GATES)}
        return Projection(name, FEEDFORWARD, i, i + 1, gated)
    if network.dcgan is None:
        shape: Shape = (above, below)
        extra: tuple[str, ...] = ("bias",)
    else:
        shape = (above, below, kernel(network, i), kernel(network, i))
        extra = {"none": ("bias",), "affine": ("scale", "shift"), "plain": ()}[network.batch_norm]
    tensors = {name: shape, **{f"{name}_{more}": (above,) for more in extra}}
    return Projection(name, FEEDFORWARD, i, i + 1, tensors)


def _feedback(network: NetworkSection, i: int) -> Projection:
    below, above = network.layers[i : i + 2]
    name = f"{FEEDBACK}_into{i}"
    if network.dcgan is None:
        shape: Shape = (below, above)
    else:
        shape = (above, below, kernel(network, i), kernel(network, i))
    return Projection(name, FEEDBACK, i + 1, i, {name: shape, f"{name}_bias": (below,)})


def _lateral(network: NetworkSection, layer: int) -> Projection:
    name, size = f"{LATERAL}_in{layer}", network.layers[layer]
    return Projection(name, LATERAL, layer, layer, {name: (size, size)})


def _gated(network: NetworkSection) -> Projection:
    """Return the lateral weights of gated units: unit by unit those of its three gates."""
    name, size = f"{LATERAL}_in1", network.layers[1]
    tensors = {name: (size, GATES, size), f"{name}_bias": (size, GATES)}
    return Projection(name, LATERAL, 1, 1, tensors)


def _over_time(network: NetworkSection) -> dict[str, Shape]:
    """Return the tensors of a D that hears a sequence, in both directions of time."""
    hidden, (symbols, units_above) = network.discriminator.hidden, network.layers
    gates, name = GATES * hidden, DISCRIMINATOR
    shapes: dict[str, Shape] = {
        f"{name}_from0": (DIRECTIONS, gates, symbols),
        f"{name}_from1": (DIRECTIONS, gates, units_above),
        f"{name}_bias": (DIRECTIONS, gates),
        f"{name}_lateral": (DIRECTIONS, gates, hidden),
        f"{name}_lateral_bias": (DIRECTIONS, gates),
    }
    below = DIRECTIONS * hidden
    for k in range(1, RECTIFIED + 1):
        shapes |= {f"{name}_rectified{k}": (hidden, below), f"{name}_rectified{k}_bias": (hidden,)}
        below = hidden
    return shapes | {f"{name}_readout": (1, below), f"{name}_readout_bias": (1,)}


def _discriminator(network: NetworkSection) -> dict[str, Shape]:
    """Return D's tensors: weights by state, of the hidden units of the pairs that read it."""
    if network.recurrent is not None:
        return _over_time(network)
    section, sizes = network.discriminator, units(network)
    pairs = list(itertools.pairwise(range(len(sizes))))
    readers = [section.hidden * sum(j in pair for pair in pairs) for j in range(len(sizes))]
    hidden = section.hidden * len(pairs)
    reading = [f"{DISCRIMINATOR}_from{j}" for j in range(len(sizes))]
    shapes: dict[str, Shape] = {name: (readers[j], sizes[j]) for j, name in enumerate(reading)}
    shapes |= {f"{DISCRIMINATOR}_bias": (hidden,), f"{DISCRIMINATOR}_readout": (hidden,)}
    if section.spread:
        shapes |= {f"{name}_spread": (readers[j],) for j, name in enumerate(reading)}
    if section.pooled:
        shapes[f"{DISCRIMINATOR}_offset"] = ()
    return shapes
