"""A small spiking protocol, its cortex, and what drives it: shared by the tests of spikes."""

import numpy as np
import torch

from neuro_aws.backends.rate.build import load_dataset
from neuro_aws.backends.spiking import brian2_compat
from neuro_aws.backends.spiking.blocks import GATES, Drive
from neuro_aws.backends.spiking.cortex import Cortex
from neuro_aws.backends.spiking.inputs import Inputs
from neuro_aws.protocol import Protocol

TEXT = """
schema_version: 3
name: small
backend: spiking
stimulus: {source: digits, classes: [0, 1], held_out: 50}
network: {layers: [64, 12, 6]}
algorithm: {name: adversarial_wake_sleep, credit: scalar}
spiking: {segment: 1, window: 2, ach_units: 16, target: numpy, traces: [{layer: 1, ids: [0, 3]}]}
targets:
  cells: {layer: 1, ids: [1, 4]}
schedule:
  - {name: infancy, cycles: 3, phases: [{wake: 5}, {nrem: 1}, {rem: 5}]}
  - {name: later, cycles: 3, branch: true, phases: [{wake: 5}, {rem: 5}]}
arms:
  control: {}
  silenced: {perturb: [{silence: {targets: cells}, during: rem, in: later}]}
  clamped: {perturb: [{clamp: {neuromodulator: ach}, in: later}]}
measure: [spike_targets, spike_ach, spike_rates, spike_dreams, spike_prediction]
"""


def protocol(*overrides: str) -> Protocol:
    return Protocol.from_text(TEXT, "small", overrides)


def cortex(*overrides: str, animal: int = 0) -> Cortex:
    spec = protocol(*overrides).spec
    brian2_compat.chosen_target(spec.spiking.target)
    return Cortex(spec, animal)


def drive(cortex: Cortex, steps: int, wake: float = 1.0, **gates: float) -> Drive:
    rng = np.random.default_rng(0)
    potential = np.zeros((steps, cortex.count))
    driven = cortex.layer(0) if wake else cortex.layer(len(cortex.sizes) - 1)
    potential[:, driven] = rng.uniform(0, 1, (steps, driven.stop - driven.start))
    return Drive(
        np.full(steps, wake),
        potential,
        np.ones((steps, cortex.count)),
        {name: np.full(steps, gates.get(name, 0.0)) for name in GATES},
        np.full(steps, np.nan),
    )


def timeline(*overrides: str) -> Inputs:
    """Return what happens to the control arm of animal 0."""
    plan = protocol(*overrides).tree.arms["control"]
    brian2_compat.chosen_target(plan.spec.spiking.target)
    dataset = load_dataset(plan.spec, 0, torch.device("cpu"))
    return Inputs(plan, 0, dataset, Cortex(plan.spec, 0))
