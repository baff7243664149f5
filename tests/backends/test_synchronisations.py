"""A step never makes the host wait: no number read, no shape by values, no copy. And the watcher
that says so can fail.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch

from neuro_aws.algorithms.credit import CREDITS
from neuro_aws.backends.rate.build import build_animal
from neuro_aws.backends.rate.engine import Engine, Observer, Streams
from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.functional.asking import never
from neuro_aws.perturbations import slots
from neuro_aws.phase import NREM, REM, WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.registry import PERTURBATIONS, THEORIES
from neuro_aws.recording.writer import Discard
from tests.conftest import DEVICE
from tests.synchronisations import watched
from tests.theories import IN_TIME, fitted

NUMBERS = torch.arange(6.0)
ONE, ROOM, MASK = torch.tensor(1), torch.arange(6.0), NUMBERS > 2

WAITS: dict[str, Callable[[], object]] = {
    "item": lambda: NUMBERS[0].item(),
    "float": lambda: float(NUMBERS[0]),
    "int": lambda: int(NUMBERS[0]),
    "bool": lambda: bool(NUMBERS[0]),
    "if": lambda: 1 if MASK.any() else 0,
    "format": lambda: f"{NUMBERS[0]:.2f}",
    "as an index of a list": lambda: [1, 2][ONE],
    "as an index of a tensor": lambda: NUMBERS[ONE],
    "as a bound": lambda: NUMBERS[:ONE],
    "in": lambda: 3.0 in NUMBERS,
    "equal": lambda: torch.equal(NUMBERS, NUMBERS),
    "allclose": lambda: torch.allclose(NUMBERS, NUMBERS),
    "nonzero": lambda: NUMBERS.nonzero(),
    "where": lambda: torch.where(MASK),
    "masked_select": lambda: NUMBERS.masked_select(MASK),
    "a mask": lambda: NUMBERS[MASK],
    "a mask written to": lambda: ROOM.__setitem__(MASK, torch.ones(3)),
    "unique": lambda: NUMBERS.unique(),
    "unique_consecutive": lambda: NUMBERS.unique_consecutive(),
    "isin": lambda: torch.isin(NUMBERS, NUMBERS),
    "bincount": lambda: ONE.view(1).bincount(),
    "repeats": lambda: NUMBERS.repeat_interleave(ONE.expand(6)),
    "eigh": lambda: torch.linalg.eigh(torch.eye(3)),
    "svd": lambda: torch.linalg.svdvals(torch.eye(3)),
    "cholesky": lambda: torch.linalg.cholesky(torch.eye(3)),
    "inverse": lambda: torch.linalg.inv(torch.eye(3)),
    "solve": lambda: torch.linalg.solve(torch.eye(3), torch.eye(3)),
    "tolist": lambda: NUMBERS.tolist(),
    "numpy": lambda: NUMBERS.numpy(),
    "asarray": lambda: np.asarray(NUMBERS),
    "cpu": lambda: NUMBERS.cpu(),
    "to": lambda: NUMBERS.to("cpu"),
    "another device": lambda: torch.empty(6, device="meta").copy_(NUMBERS),
    "tensor": lambda: torch.tensor([1.0]),
    "as_tensor": lambda: torch.as_tensor([1.0]),
    "new_tensor": lambda: NUMBERS.new_tensor([1.0]),
    "from_numpy": lambda: torch.from_numpy(np.zeros(2)),
    "a list as an index": lambda: NUMBERS[[0, 2]],
    "a list written": lambda: ROOM.__setitem__([0], 1.0),
    "in a backward pass": lambda: torch.autograd.grad(Asks.apply(LEAF), LEAF),
}

GOES_ON: dict[str, Callable[[], object]] = {
    "arithmetic": lambda: (NUMBERS * 2 + 1).mean().clamp(min=0),
    "a filled one": lambda: torch.full((), 2.0),
    "a choice by values": lambda: torch.where(MASK, NUMBERS, 0.0),
    "places on the device": lambda: NUMBERS[ONE.view(1)],
    "a number written": lambda: ROOM.__setitem__(0, 1.0),
    "another precision": lambda: NUMBERS.to(torch.float64).to(NUMBERS),
    "a shape": lambda: len(NUMBERS) + NUMBERS.numel(),
    "an unchecked root": lambda: torch.linalg.cholesky_ex(torch.eye(3)),
}


class Asks(torch.autograd.Function):
    """Asks for a number on the way back."""

    @staticmethod
    def forward(ctx, values):
        return values.sum()

    @staticmethod
    def backward(ctx, grad):
        return torch.full((6,), float(grad))


LEAF = torch.ones(6, requires_grad=True)


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("wait", list(WAITS))
def test_the_watcher_sees(wait, inference):
    if inference and "backward" in wait:
        pytest.skip("no graph is recorded there")
    with torch.inference_mode(inference), watched() as found:
        WAITS[wait]()
    assert found


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("what", list(GOES_ON))
def test_the_watcher_lets_pass(what, inference):
    with torch.inference_mode(inference), watched() as found:
        GOES_ON[what]()
    assert not found


PROTOCOL = """
schema_version: 3
preset: without_homeostasis
name: watched
seeds: 1
stimulus: {stimulus}
network: {network}
targets:
  cells: {layer: 1, fraction: 0.3}
schedule:
  - {name: all, cycles: 3, branch: true, phases: [{wake: 1}, {rem: 1}, {nrem: 1}]}
arms:
  control: {}
  perturbed: {perturb: [PERTURB]}
"""
DENSE = {"{stimulus}": "{source: digits, batch: 16}", "{network}": "{layers: [64, 12, 6]}"}
EYES = {
    "{stimulus}": "{source: patches, eyes: binocular, size: 4, count: 300, held_out: 60, batch: 16}",
    "{network}": "{layers: [32, 12, 6]}",
}
CONV = {
    "{stimulus}": "{source: digits, side: 16, batch: 16}",
    "{network}": "{dcgan: {filters: 2, latents: 4, side: 16}}",
}

HELD = "network.homeostasis={over: time, steps: 10, mean: 0.1, variance: 0.5}"
OVER_BATCH = "network.homeostasis={over: batch, mean: 0.1, variance: 0.5}"
LEARNT = ("network.prior=learnt", "network.prior_components=5")


def remembering(how: str) -> str:
    return f"network.memory={{{how}, patterns: 40, best: 6, share: 0.5}}"


MEMORY = remembering("hopfield: continuous, recall: exact")
RULES = (
    "algorithm.feedback.clip=0.001",
    "algorithm.feedback.apply=cycle",
    "algorithm.feedback.betas=[0.5, 0.9]",
    "algorithm.discriminator.apply=cycle",
)
NORMED = (
    "network.batch_norm=affine",
    "network.batch_norm_feedback=true",
    "network.inverse_relu=0.5",
    "network.spectral=true",
)
FORMS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "dense": (DENSE, ()),
    "dense, held over time, learnt prior, memory": (DENSE, (HELD, *LEARNT, MEMORY, *RULES)),
    "dense, held over the batch": (DENSE, (OVER_BATCH, "network.noise.density=laplacian")),
    "conv": (CONV, ()),
    "conv, normalised, learnt prior, memory": (CONV, (*NORMED, *LEARNT, MEMORY, *RULES)),
    "conv, held over time": (CONV, (HELD,)),
}
VARIANTS = {
    "laplacian errors": ("algorithm.density=laplacian", "network.bottom=linear"),
    "published order": ("network.order=published", "network.prior=learnt"),
    "D as published": (
        "network.discriminator={pooled: true, spread: true, noise: 0.1, draws: each}",
        "network.normalise_top=true",
    ),
    "penalty by pair": (
        "network.discriminator={spread: true, penalty_scope: pair, penalty_form: l1}",
        "algorithm.feedforward.optimiser=sgd",
    ),
    "running baseline": ("algorithm.credit=scalar", "algorithm.baseline=running"),
    "lateral weights": ("network.lateral=[1]",),
    "memory of signs": (remembering("hopfield: binary"),),
    "memory of signs, dense": (remembering("hopfield: dense"),),
    "memory, blended": (remembering("hopfield: continuous, recall: blended, beta: 0.1"),),
    "memory, cued": (remembering("hopfield: continuous"),),
    "thresholds of their own": (HELD, "algorithm.feedforward.threshold_rate=0.001"),
}
FORMS_OF = {
    **dict.fromkeys(IN_TIME, ()),
    "ddc_helmholtz": tuple(form for form in FORMS if form.startswith("dense")),
}
"""The forms that a theory has, where it has not all; of dense layers every theory has one."""

ACTIONS = {
    "silence": "silence: {targets: cells}",
    "scale": "scale: {targets: cells, by: 0.5}",
    "clamp": "clamp: {neuromodulator: ach, discriminator: held}",
    "block": "block: {homeostasis: true}",
    "block ach": "block: {neuromodulator: ach}",
    "dose": "dose: {neuromodulator: ach, by: 0.5}",
    "dose by label": "dose: {neuromodulator: ach, by: 0.5, labels: [2]}",
    "pair": "pair: {labels: [1, 3], gain: 2}",
    "yoke": "yoke: {teaching: shuffled}",
    "yoke random": "yoke: {teaching: random}",
    "plasticity": "plasticity: {feedforward: 0.5, feedback: 0}",
    "lid_suture": "lid_suture: {eye: left}",
    "inactivate_eye": "inactivate_eye: {eye: left}",
    "attenuate_eye": "attenuate_eye: {eye: left, to: 0.3}",
    "deprive_sleep": "deprive_sleep: {wake_block: 3}",
    "apply": "apply: {code: 'tests.backends.test_synchronisations:Doubles'}",
}
"""An action of each kind; the first word is its name in the registry."""

NOTHING = "plasticity: {feedforward: 1}"


class Doubles:
    """A user's own code: doubles the stimulus."""

    def stimulus(self, x, labels, draws):
        return 2 * x


def made(
    given: dict[str, str],
    settings: tuple[str, ...],
    action: str = NOTHING,
    observers: tuple[Observer, ...] = (),
) -> Engine:
    """Return the engine of the perturbed arm, as a simulator makes it but for ``observers``."""
    text = PROTOCOL.replace("PERTURB", f"{{{action}, in: all}}")
    for key, value in given.items():
        text = text.replace(key, value)
    protocol = Protocol.from_text(text, "watched.yaml", settings, allow_code=True)
    plan = protocol.tree.arms["perturbed"]
    built = build_animal(plan.spec, 0, DEVICE)

    @cache
    def slots_of(phase, active):
        chosen = [plan.perturb[i] for i in active]
        return slots(chosen, phase, {}, plan.spec, built.dataset, 0)

    def acting(spec):
        active = plan.active(spec.period, spec.cycle, spec.phase)
        return slots_of(spec.phase, tuple(map(plan.perturb.index, active)))

    streams = Streams(0, built.dataset.train.dtype, DEVICE)
    return Engine(
        built.network, built.algorithm, built.updates, built.dataset, plan.schedule, streams, 16,
        acting, observers,
    )  # fmt: skip


def waits(engine: Engine) -> list[str]:
    """Return what the steps of a run wait for, once each phase has been taken a first time."""
    seen, warm = set(), set()
    found: list[str] = []
    with never():
        for step in range(engine.schedule.steps):
            phase = engine.schedule(step).phase
            if phase not in warm:
                engine.step(step)
                warm.add(phase)
                continue
            with watched() as these:
                engine.step(step)
            seen.add(phase)
            found += [f"{phase}: {one}" for one in these]
    assert seen == {WAKE, REM, NREM}
    return found


@pytest.mark.parametrize(
    ("theory", "form"),
    [(t, f) for t in THEORIES for f in FORMS if f == "dense" or f in FORMS_OF.get(t, FORMS)],
)
def test_no_theory_waits(theory, form):
    given, settings = FORMS[form]
    assert waits(made(given, fitted(theory, settings))) == []


@pytest.mark.parametrize("form", ["dense, held over time, learnt prior, memory", "conv"])
@pytest.mark.parametrize("credit", list(CREDITS))
def test_no_credit_waits(credit, form):
    given, settings = FORMS[form]
    assert waits(made(given, (*settings, f"algorithm.credit={credit}"))) == []


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_no_other_setting_waits(variant):
    assert waits(made(DENSE, VARIANTS[variant])) == []


@pytest.mark.parametrize("action", list(ACTIONS))
def test_no_perturbation_waits(action):
    eye = PERTURBATIONS[action.split()[0]].slot == "stimulus"
    assert waits(made(EYES if eye else DENSE, (HELD,), ACTIONS[action])) == []


@pytest.mark.parametrize("apply", ["step", "cycle"])
@pytest.mark.parametrize("theory", [name for name in THEORIES if name not in IN_TIME])
def test_no_theory_waits_for_a_gate_by_sample(theory, apply):
    settings = tuple(f"algorithm.{kind}.apply={apply}" for kind in ("feedforward", "feedback"))
    engine = made(DENSE, fitted(theory, settings), ACTIONS["pair"])
    assert waits(engine) == []


def test_every_perturbation_is_watched():
    assert {action.split()[0] for action in ACTIONS} == set(PERTURBATIONS)


def test_a_step_that_waits_is_found():
    def observer(moment):
        moment.level.mean().item()

    assert waits(made(DENSE, (), observers=(observer,)))


RECORDED = (
    "record={ach: {every: 1}, plasticity: {every: 1}, activity: [{layer: 1, every: 1}], "
    "samples: {every: 1}, homeostasis: {every: 1}}"
)


@pytest.mark.parametrize("theory", list(THEORIES))
def test_nothing_waits_for_a_step_that_is_recorded(theory):
    """All that is recorded is gathered on the device; it is written, and waited for, later."""
    text = PROTOCOL.replace("PERTURB", f"{{{ACTIONS['silence']}, in: all}}")
    for key, value in DENSE.items():
        text = text.replace(key, value)
    protocol = Protocol.from_text(text, "watched.yaml", fitted(theory, (RECORDED,)))
    simulator = RateSimulator(protocol, "perturbed", 0, device=str(DEVICE))
    simulator.advance(0, 3, Discard(), lambda: False)
    with never(), watched() as found:
        for step in range(3, 9):
            simulator.engine.step(step)
    assert found == []
    with watched() as found:
        simulator.advance(9, 9, Discard(), lambda: False)
    assert found, "rows are written from the host"
