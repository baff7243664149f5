"""Whitened patches of natural photographs, for one eye or for two."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuro_aws.protocol.image_folders import image_files
from neuro_aws.protocol.stimuli_built_in import HELD_OUT_STRIP, Patches
from neuro_aws.rng import DATASET, numpy_generator
from neuro_aws.stimuli.dataset import Dataset
from neuro_aws.stimuli.image_file import refuse_small
from neuro_aws.stimuli.photographs import embedded, grey

CUTOFF = 0.4
"""Cut-off of the whitening filter, as a share of the Nyquist frequency times two (cycles/pixel)."""

SPREAD = 0.4
"""Standard deviation of the whitened pixels; values beyond +-1 are clipped."""

Picture = NDArray[np.float64]


def whiten(picture: Picture) -> Picture:
    """Return the picture filtered by |f| exp(-(|f| / f0)^4), f0 = 0.4 cycles per pixel.

    The filter flattens the 1/f amplitude of natural scenes and drops the corners of frequency
    space (Olshausen & Field 1996); mean 0, standard deviation 0.4, clipped to [-1, 1].
    """
    fy = np.fft.fftfreq(picture.shape[0])[:, None]
    fx = np.fft.fftfreq(picture.shape[1])[None, :]
    radius = np.hypot(fy, fx)
    logged = np.log1p(picture)
    filtered = np.fft.ifft2(np.fft.fft2(logged) * radius * np.exp(-((radius / CUTOFF) ** 4))).real
    filtered -= filtered.mean()
    spread: Picture = np.clip(filtered * (SPREAD / (filtered.std() + 1e-12)), -1.0, 1.0)
    return spread


def patches(section: Patches, animal: int, dtype: torch.dtype) -> Dataset:
    """Return the animal's patches: where they lie and what noise they carry is drawn for it."""
    if section.folder is None:
        pictures = embedded()
    else:
        pictures = [grey(file) for file in image_files(section.folder)]
    refuse_small([(len(p), p.shape[1]) for p in pictures], section)
    whitened = [whiten(p) for p in pictures]
    spread = float(np.sqrt(np.mean([w.var() for w in whitened])))
    cuts = [round((1 - HELD_OUT_STRIP) * len(w)) for w in whitened]
    above = [w[:cut] for w, cut in zip(whitened, cuts, strict=True)]
    foot = [w[cut:] for w, cut in zip(whitened, cuts, strict=True)]
    rng = numpy_generator(animal, DATASET)

    def rows(source: list[Picture], count: int) -> Tensor:
        found = np.stack([_patch(section, source, spread, rng) for _ in range(count)])
        return torch.from_numpy(found).to(dtype)

    train, held_out = rows(above, section.count), rows(foot, section.held_out)
    eyes = 2 if section.eyes == "binocular" else 1
    return Dataset(train, None, held_out, None, (section.size, section.size), eyes)


def _patch(
    section: Patches, pictures: list[Picture], spread: float, rng: np.random.Generator
) -> Picture:
    """Return one row: left eye, right eye shifted by a disparity, each with noise of its own.

    Each eye sees sqrt(c) * scene + sqrt(1 - c) * noise of the scenes' own ``spread``, so that c
    is their correlation at disparity 0.
    """
    picture = pictures[rng.integers(len(pictures))]
    size = section.size
    if section.eyes == "monocular":
        y, x = (rng.integers(extent - size + 1) for extent in picture.shape)
        return picture[y : y + size, x : x + size].ravel()
    y = rng.integers(picture.shape[0] - size + 1)
    x = rng.integers(section.disparity, picture.shape[1] - size - section.disparity + 1)
    shift = rng.integers(-section.disparity, section.disparity + 1)
    scene, own = math.sqrt(section.correlation), math.sqrt(1 - section.correlation)
    views = [picture[y : y + size, at : at + size].ravel() for at in (x, x + shift)]
    noise = rng.standard_normal((2, size * size)) * spread
    return np.concatenate([scene * view + own * n for view, n in zip(views, noise, strict=True)])
