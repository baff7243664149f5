"""Random streams keyed by (animal, stream, step).

A key is a hash of the three, so a draw depends on nothing that was drawn before it: a
perturbation, another arm or a resumption consumes nothing that somebody else needs.
"""

import hashlib

import numpy as np


def stream_key(animal: int, stream: str, step: int = 0) -> int:
    """Return the 63-bit seed of one stream of one animal at one step."""
    text = f"{animal}/{stream}/{step}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def numpy_generator(animal: int, stream: str, step: int = 0) -> np.random.Generator:
    """Return a numpy generator for one stream of one animal at one step."""
    return np.random.default_rng(stream_key(animal, stream, step))
