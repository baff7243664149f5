"""Stimuli that are sequences of symbols: their settings, and what the files hold. No torch here."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple

from numpy.typing import NDArray
from pydantic import Field

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.arrays import LEAST, read_arrays
from neuro_aws.protocol.files import refuse_irregular, shown, user_path
from neuro_aws.protocol.stimulus_base import StimulusSection

ALPHABET = "abcdefghijklmnopqrstuvwxyz ."
"""The symbols of text: letters, a space for any white space, a full stop for anything else."""

MOST_SYMBOLS, MOST_STEPS = 256, 4096
PICTURES = 1797
"""Digits there are."""

OWN_KEYS = {"digits": ("side",), "text": ("length", "count"), "array": ("file",)}
"""Settings that have a meaning for one kind of sequence alone."""


class SequenceFacts(NamedTuple):
    """How many sequences a file holds, of how many steps, of how many symbols."""

    number: int
    steps: int
    symbols: int


class Sequences(StimulusSection):
    """Sequences of symbols, one of which fires in each time step.

    digits: scikit-learn's digits, binarised, pixel by pixel (symbols: dark, light). text: windows
    of the reference that comes with Python (pydoc_data.topics, PSF licence; its wording is that of
    your Python's version), 28 characters. array: whole numbers from 0, (sequences, steps), .npy.
    """

    source: Literal["sequences"]
    of: Literal["digits", "text", "array"] = "digits"
    side: int = Field(16, ge=8, le=64, multiple_of=8)
    """Side of the digits, pixels; above 8 they are enlarged (bilinear)."""
    length: int = Field(100, ge=2, le=MOST_STEPS)
    """Characters in a window of text."""
    count: int = Field(2000, ge=10, le=100_000)
    """Windows of text, drawn per animal; they do not overlap."""
    file: str | None = None
    """.npy: whole numbers from 0 to 255, (sequences, steps)."""
    held_out: Annotated[int, Field(ge=2, le=100_000)] = 300
    """Sequences kept out of training, for measuring; drawn per animal."""

    @property
    def sequence(self) -> tuple[int, int] | None:
        """Steps and symbols of a stimulus; None: not known, the file cannot be read."""
        if self.of == "digits":
            return self.side**2, 2
        if self.of == "text":
            return self.length, len(ALPHABET)
        facts = self.facts
        return None if facts is None else (facts.steps, facts.symbols)

    @property
    def facts(self) -> SequenceFacts | None:
        """What the file holds; None where it cannot be read."""
        try:
            return None if self.file is None else _facts_of(self.file)
        except (OSError, NeuroAWSError):
            return None

    @property
    def pixels(self) -> int | None:
        """Size of h_0: steps times symbols; None: not known."""
        found = self.sequence
        return None if found is None else found[0] * found[1]

    @property
    def labels(self) -> int:
        """Number of labels, 0: none."""
        return 10 if self.of == "digits" else 0

    @property
    def number(self) -> int | None:
        """How many sequences there are, held-out ones among them; None: not known."""
        if self.of == "array":
            return self.facts.number if self.facts else None
        return PICTURES if self.of == "digits" else self.count

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield what does not fit together within the section, as (key, message)."""
        for kind, keys in OWN_KEYS.items():
            for key in keys:
                if kind != self.of and key in self.model_fields_set:
                    yield key, f"has a meaning with `of: {kind}` only"
        if self.of == "array" and self.file is None:
            yield "of", "reads a file of yours; give `file: NAME.npy`"
        left = None if self.number is None else self.number - self.held_out
        if left is not None and left < LEAST:
            yield (
                "held_out",
                f"{self.held_out} are to be held out of {self.number} sequences; hold out "
                f"{(self.number or 0) - LEAST} at most",
            )


@lru_cache(maxsize=1)
def python_text() -> str:
    """Return the reference that comes with Python, in the alphabet."""
    try:
        from pydoc_data.topics import topics
    except ImportError as error:  # some systems ship Python without its reference
        raise NeuroAWSError(
            "this Python came without its reference (pydoc_data.topics)",
            where="stimulus.of: text",
            next_step="Install all of Python's library, or give a file: of: array",
        ) from error
    plain = " ".join(topics[name] for name in sorted(topics)).lower()
    plain = re.sub(r"[^a-z\s]+", ".", plain)
    return re.sub(r"\s+", " ", plain)


def refuse_sequences(section: Sequences) -> None:
    """Refuse, before a run starts, sequences that are not there or that do not serve."""
    if section.of == "text":
        there = len(python_text()) // section.length
        if there < section.count:
            raise NeuroAWSError(
                f"{section.count} windows of {section.length} characters, and the text that comes "
                f"with Python has {there}",
                where="stimulus.count",
                next_step="Ask for fewer, or for shorter ones",
            )
    elif section.of == "array":
        assert section.file is not None
        facts = read_facts(read_sequences(section.file), section.file)
        if facts.number < section.held_out + LEAST:
            raise NeuroAWSError(
                f"holds {facts.number} sequences, but {section.held_out} are to be held out",
                where=_where(section.file),
                next_step="Add sequences or lower stimulus.held_out",
            )


def read_sequences(file: str) -> NDArray[Any]:
    """Return the array of a .npy file, as it is."""
    return read_arrays(file).images


def read_facts(sequences: NDArray[Any], file: str) -> SequenceFacts:
    """Return what an array holds; refuse what are no sequences of symbols."""
    where, allowed = _where(file), "Give whole numbers from 0, (sequences, steps)"
    if sequences.ndim != 2 or sequences.dtype.kind not in "iu" or 0 in sequences.shape:
        found = f"is {sequences.dtype} of shape {sequences.shape}"
        raise NeuroAWSError(found, where=where, next_step=allowed)
    low, high = int(sequences.min()), int(sequences.max())
    if low < 0 or high >= MOST_SYMBOLS or high == 0:
        raise NeuroAWSError(
            f"has symbols {low} to {high}",
            where=where,
            next_step=f"Symbols are 0, 1, ..., {MOST_SYMBOLS - 1} at most; two at least",
        )
    steps = sequences.shape[1]
    if not 2 <= steps <= MOST_STEPS:
        raise NeuroAWSError(
            f"has sequences of {steps} steps",
            where=where,
            next_step=f"Give 2 to {MOST_STEPS}",
        )
    return SequenceFacts(len(sequences), steps, high + 1)


def _where(file: str) -> str:
    return f"stimulus.file: {shown(file)}"


def _facts_of(file: str) -> SequenceFacts:
    path = user_path(file)
    refuse_irregular(path)
    stat = path.stat()
    return _facts(str(path.absolute()), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _facts(file: str, changed: int, length: int) -> SequenceFacts:
    return read_facts(read_sequences(file), file)
