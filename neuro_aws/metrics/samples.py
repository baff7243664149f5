"""What the network dreams and what it predicts of what it sees, as pictures (bytes)."""

from dataclasses import replace

import torch
from torch import Tensor

from neuro_aws.functional.compartments import fire
from neuro_aws.functional.shapes import rows
from neuro_aws.metrics.classifier import pictures
from neuro_aws.metrics.images import dreamt_images
from neuro_aws.metrics.subject import Subject

DREAMS = 64
"""Dreams kept at each moment, always of the same draws from the prior."""

STRIP = 10
"""Held-out stimuli shown beside what every layer predicts of them."""


def dream_grid(subject: Subject) -> Tensor:
    """Return dreams as bytes (64, height, width, channels)."""
    fixed = replace(subject, step=0)  # the same draws at every moment: only the network changes
    return to_bytes(dreamt_images(fixed, DREAMS, "pictures"))


def reconstruction_strip(subject: Subject) -> Tensor:
    """Return stimuli and their predictions as bytes (10, 1 + N, height, width, channels).

    Entry k >= 1 went k layers up through F and k layers down through G as in dreams, noise off.
    Fewer held-out stimuli than entries are shown again from the first on.
    """
    network, dataset = subject.network, subject.dataset
    chosen = torch.arange(max(STRIP, min(64, len(dataset.held_out)))) % len(dataset.held_out)
    stimuli = dataset.held_out[chosen.to(dataset.held_out.device)]
    seen = subject.recognise(stimuli, None).somas
    shown = [pictures(stimuli[:STRIP], dataset)]
    for k in range(1, network.depth + 1):
        h = seen[k]
        for layer in reversed(network.layers[:k]):
            h = fire(layer.psi_below, layer.feedback_potential(h)[0]).rate
        x = network.picture(h[:STRIP])
        shown.append(x if x.dim() == 4 else pictures(rows(x), dataset))
    return torch.stack([to_bytes(x) for x in shown], 1)


def to_bytes(images: Tensor) -> Tensor:
    """Return images (n, channels, height, width) in [-1, 1] as bytes, channels last."""
    scaled = (images.float().clamp(-1, 1) + 1) * 127.5
    return scaled.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu()
