"""Pictures of a life as it goes on: into the recording, and as PNG files."""

from pathlib import Path

import torch

from neuro_aws.backends.rate.recorder import Recorder
from neuro_aws.metrics.samples import dream_grid, reconstruction_strip
from neuro_aws.metrics.subject import Subject
from neuro_aws.plots.images import strip, tiled, write_png
from neuro_aws.protocol.columns import picture_shape
from neuro_aws.protocol.schema import ProtocolSpec


def take(subject: Subject, recorder: Recorder, spec: ProtocolSpec, folder: Path) -> None:
    """Record dreams and predictions; a convolutional network's also as files in ``folder``."""
    if picture_shape(spec) is None:
        return
    step = subject.step
    with torch.inference_mode():
        predicted, dreams = reconstruction_strip(subject), dream_grid(subject)
    recorder.images(step, dreams, predicted)
    if spec.network.dcgan is not None:
        write_png(folder / f"dreams_{step:08d}.png", tiled(dreams.numpy(), 8))
        write_png(folder / f"predicted_{step:08d}.png", strip(predicted.numpy()))
