"""Whether a protocol that is valid would start on this machine. Must not import torch."""

import importlib.util

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.backends import backend_of
from neuro_aws.protocol.data import refuse_missing, using_data
from neuro_aws.protocol.start import refuse_memory
from neuro_aws.stimuli.image_file import refuse_broken_images


def refuse_what_would_not_start(loaded: Protocol, data: str | None, jobs: int | None) -> None:
    """Refuse a protocol that `run` could not begin here; without ``jobs`` memory is no matter."""
    if jobs is not None:
        refuse_memory((plan.initial for plan in loaded.tree.arms.values()), jobs, loaded.source)
    for plan in loaded.tree.arms.values():
        backend = backend_of(plan.initial)
        with using_data(data):
            refuse_missing(plan.initial.stimulus)
            refuse_broken_images(plan.initial.stimulus)
        for module in backend.requires:
            if importlib.util.find_spec(module) is None:
                raise NeuroAWSError(
                    f"{backend.name} needs {module}, which is not installed",
                    where=loaded.source,
                    next_step="pip install 'neuro-aws[spiking]'",
                )
