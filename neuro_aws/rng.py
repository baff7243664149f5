"""Random streams keyed by (animal, stream, step).

A key is a hash of the three, so a draw depends on nothing that was drawn before it: a
perturbation, another arm or a resumption consumes nothing that another one needs.
"""

import hashlib
from typing import Final

import numpy as np

# The strings below key the streams: they are data, not prose. Changing one changes every number.
STIMULUS: Final = "stimulus"
EYES: Final = "eyes"
PRIOR: Final = "prior"
NOISE: Final = "noise"
ACH: Final = "ach"
NEUROMODULATOR: Final = "neuromodulator"
DATASET: Final = "world"
"""Which stimuli an animal sees in training, and which are held out."""

INITIAL: Final = "birth"
"""Initial weights of the layers; the next ones those of other parts of the network."""

INITIAL_ACH: Final = "birth/ach"
INITIAL_READOUT: Final = "birth/readout"
INITIAL_LATERAL: Final = "initial/lateral"
INITIAL_EXTRA: Final = "initial/extra"
INITIAL_PRIOR: Final = "birth/prior"
INITIAL_UNIFORM: Final = "birth/uniform"
RETURN_PATH: Final = "return_path"
SWEEP: Final = "sweep"
"""Which points of a grid are run where some are drawn at random."""

SPIKING_INITIAL: Final = "spiking/birth"
SPIKING_PATTERN: Final = "spiking/pattern"
SPIKING_PRIOR: Final = "spiking/prior"
SPIKING_BLOCK: Final = "spiking/segment"


def target_stream(layer: int, draw: int) -> str:
    """Return the stream that a fraction of a layer's cells is drawn from."""
    return f"targets/{layer}/{draw}"


def measure_stream(purpose: str) -> str:
    """Return the stream of one purpose of measuring."""
    return f"measure/{purpose}"


def stream_key(animal: int, stream: str, step: int = 0) -> int:
    """Return the 63-bit seed of one stream of one animal at one step."""
    text = f"{animal}/{stream}/{step}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def numpy_generator(animal: int, stream: str, step: int = 0) -> np.random.Generator:
    """Return a numpy generator for one stream of one animal at one step."""
    return np.random.default_rng(stream_key(animal, stream, step))
