"""Sequences of symbols: digits pixel by pixel, text that comes with Python, arrays of one's own."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuro_aws.protocol.sequences import ALPHABET, Sequences, python_text, read_sequences
from neuro_aws.protocol.stimuli_built_in import Digits
from neuro_aws.rng import DATASET, numpy_generator
from neuro_aws.stimuli.dataset import Dataset
from neuro_aws.stimuli.digits import digits


def sequences(section: Sequences, animal: int, dtype: torch.dtype) -> Dataset:
    """Return sequences as rows of 0 and 1, step by step: the symbols of a step side by side."""
    assert section.sequence is not None
    steps, symbols = section.sequence
    labels: tuple[Tensor | None, Tensor | None] = (None, None)
    if section.of == "digits":
        seen = digits(Digits(source="digits", side=section.side), animal, torch.float64)
        n = section.held_out
        assert seen.held_out_labels is not None
        assert seen.train_labels is not None
        shown = (torch.cat([seen.held_out, seen.train]) > 0).long()
        of = torch.cat([seen.held_out_labels, seen.train_labels])
        train, held_out, labels = shown[n:], shown[:n], (of[n:], of[:n])
    else:
        every = _windows(section) if section.of == "text" else _array(section)
        order = numpy_generator(animal, DATASET).permutation(len(every))[: section.number]
        chosen = torch.from_numpy(np.asarray(every[order], dtype=np.int64))
        train, held_out = chosen[section.held_out :], chosen[: section.held_out]
    return Dataset(
        as_rows(train, symbols, dtype),
        labels[0],
        as_rows(held_out, symbols, dtype),
        labels[1],
        (steps, 1),
        channels=symbols,
    )


def as_rows(numbers: Tensor, symbols: int, dtype: torch.dtype) -> Tensor:
    """Return numbers of symbols (n, steps) as rows of 0 and 1 (n, steps * symbols)."""
    return torch.nn.functional.one_hot(numbers, symbols).flatten(1).to(dtype)


def _windows(section: Sequences) -> NDArray[np.int64]:
    """Return every window of the text, as numbers of characters."""
    number = {character: k for k, character in enumerate(ALPHABET)}
    text = np.array([number[character] for character in python_text()])
    count = len(text) // section.length
    return text[: count * section.length].reshape(count, section.length)


def _array(section: Sequences) -> NDArray[np.int64]:
    assert section.file is not None
    return read_sequences(section.file)
