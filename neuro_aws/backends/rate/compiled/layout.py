"""What the kernels are given: the network's plan, its weights, and the memory they work in.

Weights of a kind lie end to end in one vector (``model/parameters.py``), activity of all layers
end to end in one buffer; the functions here find a layer's part.
"""

from typing import Any, NamedTuple

from neuro_aws.functional.compiled.kernel import part

SOMA, DENDRITE, DREAM = range(3)
"""Drives that may be held at a set point, in the order of their statistics."""

HELD_BY_NOTHING, OVER_TIME, OVER_BATCH = range(3)
LAYER, SCALAR, NONE, BACKPROP = range(4)
"""Credit. ``layer_random`` is ``layer`` with another teaching signal."""


SIZE, START, UP, DOWN, READS, FIRST, LAST, TRANSFER, NORM, PREDICTED = range(10)
"""Of a layer: its units, and how many lie before them; where the weights into the layer above, into
the dendrites below, and of D for it begin; the hidden units of D that read it, from the first to
the one after the last; transfer function, normalisation, and that of what feedback predicts."""


class Plan(NamedTuple):
    """What stays the same in a run.

    depth       N, the index of the top layer
    layers      (10, layers + 1) whole numbers: ``SIZE``, ... of each layer h_0 ... h_N
    held        (3, layers): which drives are held at a set point (``SOMA``, ...)
    over, steps, mean, deviation   how, with which time constant, and at what
    orthogonal  learning leaves out what homeostasis over time would undo
    factors     (layers,) of the prediction errors: 1, or 1 / units
    gain_first  gains act before normalisation
    the rest    as the protocol names them
    """

    depth: int
    layers: Any
    held: Any
    factors: Any
    over: int
    steps: float
    mean: float
    deviation: float
    orthogonal: bool
    surrogate: bool
    gain_first: bool
    sigma: float
    noisy_bottom: bool
    laplacian_noise: bool
    laplacian: bool
    slope: float
    penalty: float
    credit: int
    running_baseline: bool
    kl: float


class Weights(NamedTuple):
    """Memory of the network itself: weights by kind, and running statistics.

    statistics  (3, 2, units): mean and variance of a drive (``SOMA``, ...)
    undone      (2, 2, units): offset and slope of what homeostasis would undo (no ``DREAM``)
    baseline    (1,) of ACh
    """

    feedforward: Any
    feedback: Any
    discriminator: Any
    statistics: Any
    undone: Any
    baseline: Any


RAW, POTENTIAL, VALUE, UNGAINED, FIRING = range(5)
"""Activity of somata: raw drive (kept where the way back reads it), potential, phi of it, rate,
and rate with its gain (all of it here, where there is no gain)."""

P_RAW, P_POTENTIAL, P_VALUE, P_RATE = range(5, 9)
"""What the dendrites predict."""

GRADIENT, SENT, SIGNAL = range(9, 12)
"""dD/dh; what is sent back of it, where that differs; scratch."""

U, Y, C, IMAGE, CARRIED = range(5)
"""Of the discriminator: potentials, rates, dD/du, the penalty's image, scratch."""

SLOPE, OFFSET, CENTRE, INVERSE, NEXT_OFFSET, NEXT_SLOPE = range(6)
"""How drives are held in a step; and what becomes of ``Weights.undone`` at its end."""


class Space(NamedTuple):
    """Memory that a step works in.

    activity    (12, batch * units): layer after layer, each (batch, units); ``RAW`` ...
    sent        which of them the teaching signals are: ``GRADIENT`` or ``SENT``
    hidden      (5, batch, hidden units of D); ``U`` ...
    holding     (6, 3, units); ``SLOPE`` ..., by drive (``SOMA`` ...)
    pools       (2, layers, batch): of rates, and of predictions
    xi          noise of the somata, in the order in which layers fire
    gains       (units,), and ``gained``: which layers have some
    """

    activity: Any
    sent: int
    hidden: Any
    holding: Any
    pools: Any
    xi: Any
    gains: Any
    gained: Any


@part
def rows(space: Space, plan: Plan, what: int, layer: int) -> Any:
    """Return activity of a layer (batch, units): ``what`` names the buffer."""
    batch, size = space.hidden.shape[1], plan.layers[SIZE, layer]
    start = plan.layers[START, layer] * batch
    return space.activity[what, start : start + batch * size].reshape(batch, size)


@part
def units(values: Any, plan: Plan, layer: int) -> Any:
    """Return a layer's part of a vector of one value a unit."""
    return values[plan.layers[START, layer] : plan.layers[START, layer + 1]]


@part
def noise_into(space: Space, plan: Plan, layer: int, asleep: bool) -> Any:
    """Return the noise of a layer's somata; they are drawn in the order in which layers fire."""
    batch, size, starts = space.hidden.shape[1], plan.layers[SIZE, layer], plan.layers[START]
    start = starts[plan.depth] - starts[layer + 1] if asleep else starts[layer] - starts[1]
    return space.xi[start * batch : (start + size) * batch].reshape(batch, size)


@part
def readers(space: Space, plan: Plan, what: int, layer: int) -> Any:
    """Return the hidden units of D that read a layer (batch, units): columns of one buffer."""
    return space.hidden[what, :, plan.layers[FIRST, layer] : plan.layers[LAST, layer]]


@part
def feedforward(vector: Any, plan: Plan, i: int) -> tuple[Any, Any]:
    """Return F_i (above, below) and its bias, of a vector laid out as F."""
    below, above, at = plan.layers[SIZE, i], plan.layers[SIZE, i + 1], plan.layers[UP, i]
    end = at + above * below
    return vector[at:end].reshape(above, below), vector[end : end + above]


@part
def feedback(vector: Any, plan: Plan, i: int) -> tuple[Any, Any]:
    """Return G_i (below, above) and its bias, of a vector laid out as G."""
    below, above, at = plan.layers[SIZE, i], plan.layers[SIZE, i + 1], plan.layers[DOWN, i]
    end = at + above * below
    return vector[at:end].reshape(below, above), vector[end : end + below]


@part
def reading(vector: Any, plan: Plan, j: int) -> Any:
    """Return V_j (hidden units that read h_j, units), of a vector laid out as D."""
    size, at = plan.layers[SIZE, j], plan.layers[READS, j]
    hidden = plan.layers[LAST, j] - plan.layers[FIRST, j]
    return vector[at : at + hidden * size].reshape(hidden, size)
