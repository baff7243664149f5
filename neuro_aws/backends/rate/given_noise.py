"""Noise given number by number: which passes of a cycle draw it, in what order, how much.

    wake, sleep                 the step itself: up from x, down from z
    readout_penalty_wake        up from x, for R's penalty                     (draws: each)
    readout                     up from the dreamt x, for R and F
    readout_penalty_sleep       up from the dreamt x, for R's penalty          (draws: each)
    readout_for_generator       up from the dreamt x, for G                    (draws: each)
    disc_wake, disc_sleep       D as it is read
    gp_wake, gp_sleep           D as its penalty reads it                      (draws: each)
    disc_wake_for_inference     D as F learns from it                          (draws: each)

The passes of R are those of the doubly adversarial form; they stop at h_{N-1}, and what the layer
above would take may be left out of theirs. With ``draws: shared`` one pass serves what has a pass
of its own here.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import torch
from torch import Tensor

from neuro_aws.errors import NeuroAWSError
from neuro_aws.functional.noise import RecordedNoise
from neuro_aws.model.network import Network

Draws = tuple[Sequence[Tensor], Sequence[Tensor]]
"""Normal and uniform draws of one pass, each in the order the layers fire."""

WAKE_PASSES = ("wake", "readout_penalty_wake")
REM_PASSES = ("sleep", "readout", "readout_penalty_sleep", "readout_for_generator")
WAKE_READINGS = ("disc_wake", "gp_wake", "disc_wake_for_inference")
REM_READINGS = ("disc_sleep", "gp_sleep")
"""In the order in which a step draws for them: passes through the layers, and readings of D."""

_NAMES = (*WAKE_PASSES, *REM_PASSES, *WAKE_READINGS, *REM_READINGS)
_ONLY_EACH = {
    "readout_penalty_wake",
    "readout_penalty_sleep",
    "readout_for_generator",
    "gp_wake",
    "gp_sleep",
    "disc_wake_for_inference",
}
_ONLY_DOUBLY = {name for name in _NAMES if name.startswith("readout")}


def played_back(names: Sequence[str], noise: Mapping[str, Draws]) -> RecordedNoise:
    """Return the draws of some passes, one after the other."""
    given = [noise[name] for name in names if name in noise]
    normals = [tensor for draws in given for tensor in draws[0]]
    return RecordedNoise(normals, [tensor for draws in given for tensor in draws[1]])


def checked(network: Network, x: Tensor, z: Tensor, noise: Mapping[str, Draws]) -> dict[str, Draws]:
    """Return noise that is, pass by pass, what a cycle draws; refuse any other."""
    for name in noise:
        if name not in _NAMES:
            near = get_close_matches(name, _NAMES, 1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise _error(f"no pass is called {name!r}", f"{hint}Passes: {', '.join(_NAMES)}")
    wanted = _wanted(network, x, z)
    found = {}
    for name in _NAMES:
        given: Draws = noise.get(name, ((), ()))
        if name in _ONLY_DOUBLY:
            given = _with_top(given, wanted[name], x)
        found[name] = given
        for kind, shapes, draws in zip(("normal", "uniform"), wanted[name], given, strict=True):
            if len(draws) != len(shapes):
                raise _error(
                    f"pass {name!r} takes {len(shapes)} {kind} draws here, {len(draws)} are given",
                    f"Their shapes, in order: {[tuple(s) for s in shapes]}",
                )
            for k, (shape, tensor) in enumerate(zip(shapes, draws, strict=True)):
                if tensor.shape != shape:
                    raise _error(
                        f"{kind} draw {k} of pass {name!r} has shape {tuple(tensor.shape)}, "
                        f"not {tuple(shape)}",
                        "Draws come in the order the layers fire",
                    )
    return found


def _with_top(given: Draws, wanted: "Shapes", x: Tensor) -> Draws:
    """Fill in the last draw of each kind where it is left out: R reads nothing of it."""
    normals, uniforms = (
        [*draws, x.new_full(shapes[-1], 0.5)] if len(draws) == len(shapes) - 1 else draws
        for shapes, draws in zip(wanted, given, strict=True)
    )
    return normals, uniforms


class _Asked:
    """A noise source that remembers which shapes were asked of it."""

    def __init__(self, like: Tensor) -> None:
        self.like = like
        self.normals: list[torch.Size] = []
        self.uniforms: list[torch.Size] = []

    def normal(self, shape: torch.Size) -> Tensor:
        self.normals.append(shape)
        return self.like.new_zeros(shape)

    def uniform(self, shape: torch.Size) -> Tensor:
        self.uniforms.append(shape)
        return self.like.new_full(shape, 0.5)


Shapes = tuple[list[torch.Size], list[torch.Size]]


def _wanted(network: Network, x: Tensor, z: Tensor) -> dict[str, Shapes]:
    """Return the shapes of the normal and of the uniform draws that every pass takes."""
    up, down = _Asked(network.flat("feedforward")), _Asked(network.flat("feedforward"))
    with torch.no_grad():
        network.recognise(x, up)
        network.dream(z, down)
    ach = network.acetylcholine
    reading = [torch.Size((len(x), len(ach.weights.bias)))] if ach.form.sigma > 0 else []
    wanted: dict[str, Shapes] = {}
    for name in _NAMES:
        each = name in _ONLY_EACH and not ach.each_draws
        if each or (name in _ONLY_DOUBLY and network.readout is None):
            wanted[name] = ([], [])
        elif name in (*WAKE_READINGS, *REM_READINGS):
            wanted[name] = (reading, [])
        else:
            source = down if name == "sleep" else up
            wanted[name] = (source.normals, source.uniforms)
    return wanted


def _error(what: str, next_step: str) -> NeuroAWSError:
    return NeuroAWSError(what, where="one_cycle noise", next_step=next_step)
