"""A simulator's engine without a run around it: for tests of single steps."""

import torch

from neuro_aws.backends.rate.build import Animal
from neuro_aws.backends.rate.engine import Engine, Streams
from neuro_aws.perturbations import Slots
from neuro_aws.protocol.schedule import Schedule
from neuro_aws.protocol.schema import Block, Period


def engine_of(
    built: Animal,
    phases: tuple[Block, ...],
    cycles: int,
    slots: Slots | None = None,
    compiled: bool = False,
) -> Engine:
    """Return the engine of one period, in float64, batches of 16; unperturbed without ``slots``."""
    schedule = Schedule((Period(name="training", cycles=cycles, phases=phases),))
    always = slots or Slots()
    return Engine(
        built.network,
        built.algorithm,
        built.updates,
        built.dataset,
        schedule,
        Streams(0, torch.float64, built.network.acetylcholine.baseline.device),
        16,
        lambda _: always,
        compiled=compiled,
    )
