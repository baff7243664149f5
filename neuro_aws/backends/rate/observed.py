"""Signals of one step of a rate network, as arrays with dimensions and units."""

from torch import Tensor

from neuro_aws.backends.base import Observed
from neuro_aws.backends.rate.moment import Moment
from neuro_aws.errors import NeuroAWSError
from neuro_aws.functional.shapes import by_unit
from neuro_aws.model.network import Network
from neuro_aws.phase import WAKE

SIGNALS = ("ach", "release", "gate")
ACTIVITY = ("soma", "dendrite")


def signal_of(
    moment: Moment, network: Network, what: str, layer: int | None, samples: bool
) -> Observed:
    """Return a signal of a step with a leading axis of length 1."""
    if what in SIGNALS:
        return _neuromodulator(moment, what, samples)
    if what not in ACTIVITY:
        known = ", ".join((*SIGNALS, *ACTIVITY))
        raise NeuroAWSError(f"no signal {what!r}", next_step=f"Signals: {known}")
    if layer is None or not 0 <= layer <= network.depth - (what == "dendrite"):
        top = network.depth - (what == "dendrite")
        raise NeuroAWSError(f"no {what} in layer {layer}", next_step=f"Layers: 0 to {top}")
    if what == "soma":
        return _of_layer(moment.state.layers[layer].soma, samples)
    predicted = moment.state.layers[layer].dendrite
    if predicted is None:
        asleep = moment.state.phase is not WAKE
        predicted = network.layers[layer].predict(moment.state.layers[layer + 1].soma, asleep)
    return _of_layer(predicted.rate, samples)


def _neuromodulator(moment: Moment, what: str, samples: bool) -> Observed:
    ach, units = moment.ach, "1" if what == "gate" else "D"
    level = ach.own.reading.level
    if not samples:
        mean = getattr(moment.neuromodulators(), what)  # as it is recorded
        return Observed(level.new_tensor([mean]).cpu().numpy(), ("step",), units)
    gate = level.new_ones(level.shape) * ach.gate
    values = {"ach": level, "release": ach.release, "gate": gate}[what]
    return Observed(values.cpu().numpy()[None].copy(), ("step", "sample"), units)


def _of_layer(activity: Tensor, samples: bool) -> Observed:
    if not samples:
        return Observed(by_unit(activity).cpu().numpy()[None].copy(), ("step", "unit"), "rate")
    found = whole(activity)
    return Observed(found.values[None], ("step", *found.dims), found.units)


def whole(activity: Tensor) -> Observed:
    """Return activity of every sample: (sample, unit), or (sample, channel, row, column)."""
    dims = ("sample", "channel", "row", "column") if activity.dim() == 4 else ("sample", "unit")
    return Observed(activity.cpu().numpy().copy(), dims, "rate")
