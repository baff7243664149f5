"""Waking activity of target and of non-target cells, against the onset of the arm."""

from collections.abc import Iterator

import torch
from torch import Tensor

from neuro_aws.metrics.subject import Subject, Value, ratio
from neuro_aws.protocol.targets import Targets


def target_cells(subject: Subject) -> Iterator[Value]:
    """Follow every set of target cells; noise off, no perturbation in force, held-out stimuli.

    target_activity                  mean |soma| of the targets
    target_activity_relative         the same over its value at the onset of the arm
    target_activity_relative_noisy   the same with the waking noise, one draw a stimulus
    spared_activity_relative         mean |soma| of the layer's other cells over that at onset
    target_spared_ratio              target over non-target, each relative to onset
    target_potential                 mean potential of the compartment that drives them (F h + b)
    target_never_active              share of targets silent for every stimulus
    spared_never_active              share of the layer's other cells silent for every stimulus
    target_dendrite                  mean |d|, what feedback predicts them to fire
    target_feedforward               length of the feedforward weights into the targets over onset

    A cell of a convolutional network is a channel: at each stimulus the mean over its positions
    (500 stimuli), which is 0 only if all of them are silent. Of a recurrent network it is the mean
    over the steps of a sequence.
    """
    stimuli = subject.dataset.held_out[: 500 if subject.network.maps else 2000]
    state = subject.network.with_dendrites(subject.recognise(stimuli, None))
    rates = state.map(by_size)
    state = state.map(by_channel)
    noisy = subject.recognise(stimuli, subject.draws("waking/held_out"))
    for name, cells in subject.targets.items():
        layer = state.layers[cells.layer]
        mask = torch.zeros(layer.soma.shape[-1], dtype=torch.bool, device=layer.soma.device)
        mask[list(cells.ids)] = True
        soma = rates.layers[cells.layer].soma
        target, others = _mean(soma, mask), _mean(soma, ~mask)
        by_older = f"onset/{name}/target" in subject.memory  # which had no value with noise
        relative = ratio(target, _onset(subject, f"{name}/target", target))
        others_relative = ratio(others, _onset(subject, f"{name}/others", others))
        silent = (soma == 0).all(0)
        yield Value("target_activity", target, cells.layer, name)
        yield Value("target_activity_relative", relative, cells.layer, name)
        if not by_older or f"onset/{name}/noisy" in subject.memory:
            fired = _mean(by_size(noisy.layers[cells.layer].soma), mask)
            with_noise = ratio(fired, _onset(subject, f"{name}/noisy", fired))
            yield Value("target_activity_relative_noisy", with_noise, cells.layer, name)
        yield Value("spared_activity_relative", others_relative, cells.layer, name)
        yield Value("target_spared_ratio", ratio(relative, others_relative), cells.layer, name)
        yield Value("target_never_active", _share(silent, mask), cells.layer, name)
        yield Value("spared_never_active", _share(silent, ~mask), cells.layer, name)
        if layer.drive is not None:
            potential = float(layer.drive.potential[:, mask].mean())
            yield Value("target_potential", potential, cells.layer, name)
            yield from _feedforward(subject, name, cells)
        if layer.dendrite is not None:
            predicted = rates.layers[cells.layer].dendrite
            assert predicted is not None
            dendrite = _mean(predicted.rate, mask)
            yield Value("target_dendrite", dendrite, cells.layer, name)


def _feedforward(subject: Subject, name: str, cells: Targets) -> Iterator[Value]:
    weights = subject.network.layers[cells.layer - 1].feedforward[0][list(cells.ids)]
    length = float(weights.norm())
    relative = ratio(length, _onset(subject, f"{name}/feedforward", length))
    yield Value("target_feedforward", relative, cells.layer, name)


def _onset(subject: Subject, key: str, value: float) -> float:
    memory = subject.memory.setdefault(f"onset/{key}", torch.tensor(value, dtype=torch.float64))
    return float(memory)


def _mean(rates: Tensor, mask: Tensor) -> float:
    return float(rates[:, mask].abs().mean()) if bool(mask.any()) else float("nan")


def _share(flags: Tensor, mask: Tensor) -> float:
    return float(flags[mask].double().mean()) if bool(mask.any()) else float("nan")


def by_size(activity: Tensor) -> Tensor:
    """Return the mean over positions of the sizes of rates; rows as they are."""
    return by_channel(activity.abs())


def by_channel(activity: Tensor) -> Tensor:
    """Return the mean over positions of maps; rows as they are."""
    return activity.mean((2, 3)) if activity.dim() == 4 else activity
