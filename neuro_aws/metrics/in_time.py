"""Free running against teacher forcing: hidden states of single steps, and what is drawn."""

from collections.abc import Iterator

import torch
from torch import Tensor

from neuro_aws.functional.in_time import of_rows
from neuro_aws.functional.noise import Draws
from neuro_aws.metrics.distances import perceptron_accuracy, sliced
from neuro_aws.metrics.subject import MOST_STIMULI, Subject, Value
from neuro_aws.model.recurrent import RecurrentNetwork
from neuro_aws.protocol.measures_in_time import FreeRunning

MOST_NGRAMS = 30_000
"""Different n-grams are not more; longer ones are not looked at."""


def free_running(subject: Subject) -> Iterator[Value]:
    """Compare free runs with teacher forcing (``free_running``); every distance with its floor.

    State by state (``state_``): h_1 of random steps of random sequences, as many of free runs as of
    teacher forcing. Sequence by sequence (``course_``): mean and standard deviation over the steps
    of every unit. Symbol by symbol: total variation 1/2 sum |p - q| of the n-grams, and of the
    pairs of symbols 1 to ``lags`` steps apart (mean over lags), p of free runs, q of training
    sequences; at the length of training, and over as many steps at the end of runs ``lengths``
    times as long.
    """
    given = subject.settings
    asked = given if isinstance(given, FreeRunning) else FreeRunning(measure="free_running")
    network = subject.network
    assert isinstance(network, RecurrentNetwork)
    yield from _states(subject, asked)
    steps, symbols = network.gated.steps, network.shapes[0][0]
    longer = network.run_freely(asked.runs, asked.lengths * steps, subject.draws("longer"))
    true, held_out = (
        of_rows(rows[:MOST_STIMULI], symbols).argmax(-1)
        for rows in (subject.dataset.train, subject.dataset.held_out)
    )
    drawn = longer.argmax(-1)
    length = asked.longest
    while length > 1 and symbols**length > MOST_NGRAMS:
        length -= 1
    parts = {"": drawn[:, :steps], "_longer": drawn[:, -steps:], "_real": held_out}
    for what, found in parts.items():
        apart = variation(ngrams(found, symbols, length), ngrams(true, symbols, length))
        yield Value(f"ngram_distance{what}", apart, 0)
    lags = range(1, min(asked.lags, steps - 1) + 1)
    of_true = [pairs(true, symbols, lag) for lag in lags]
    for what, found in parts.items():
        each = [variation(pairs(found, symbols, k), p) for k, p in zip(lags, of_true, strict=True)]
        yield Value(f"pair_distance{what}", sum(each) / len(each), 0)


def _states(subject: Subject, asked: FreeRunning) -> Iterator[Value]:
    draws, count = subject.draws("states"), asked.states
    units = subject.network.shapes[1][0]

    train = subject.dataset.train[: asked.runs]
    waking = (subject.waking()[1], subject.waking_on(train)[1])
    runs = (subject.dreams(asked.runs, f"free/{k}")[1] for k in range(2))
    whole = [of_rows(rows, units) for rows in (*waking, *runs)]
    for what in ("state", "course"):
        found = [states_of(h, count, draws) if what == "state" else courses(h) for h in whole]
        held_out, train, free, new = found
        yield Value(f"{what}_distance", sliced(free, held_out), 1)
        yield Value(f"{what}_distance_real", sliced(train, held_out), 1)
        yield Value(f"{what}_nearest", nearest(held_out, free), 1)
        yield Value(f"{what}_nearest_real", nearest(held_out, train), 1)
        accuracy = perceptron_accuracy(subject, ([train], [free]), ([held_out], [new]), what)
        yield Value(f"{what}_classifier", accuracy, 1)


def courses(sequences: Tensor) -> Tensor:
    """Return mean and standard deviation over the steps of every unit, sequence by sequence."""
    return torch.cat([sequences.mean(1), sequences.std(1)], -1)


def states_of(sequences: Tensor, count: int, draws: Draws) -> Tensor:
    """Return the states of so many random steps of random sequences (batch, time, units)."""
    batch, steps, _ = sequences.shape
    return sequences[draws.integers(batch, (count,)), draws.integers(steps, (count,))]


def nearest(x: Tensor, others: Tensor) -> float:
    """Return the mean Euclidean distance of a row of ``x`` to the nearest of ``others``."""
    return float(torch.cdist(x, others).min(1).values.mean())


def ngrams(numbers: Tensor, symbols: int, length: int) -> Tensor:
    """Return the share of every n-gram among those of sequences (batch, time)."""
    windows = numbers.unfold(1, length, 1)
    place = symbols ** torch.arange(length, device=numbers.device)
    return _shares((windows * place).sum(-1), symbols**length)


def pairs(numbers: Tensor, symbols: int, lag: int) -> Tensor:
    """Return the share of every pair of symbols so many steps apart."""
    return _shares(numbers[:, :-lag] * symbols + numbers[:, lag:], symbols**2)


def _shares(codes: Tensor, most: int) -> Tensor:
    counts = torch.bincount(codes.flatten(), minlength=most).double()
    return counts / counts.sum()


def variation(p: Tensor, q: Tensor) -> float:
    """Return the total variation distance of two distributions: 0 to 1."""
    return float((p - q).abs().sum() / 2)
