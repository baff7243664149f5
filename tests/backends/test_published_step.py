"""The published step, number by number: golden vectors, and autograd of its equations for gamma < 1."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from neuro_aws.algorithms import doubly_adversarial
from neuro_aws.backends.rate.build import build_animal
from neuro_aws.backends.rate.one_step import Step, one_cycle
from neuro_aws.errors import NeuroAWSError
from neuro_aws.model.network import Network
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.schema import Block
from tests.engines import engine_of
from tests.reference.published import Experiment, recorded_draws

GOLDEN = Path(__file__).parents[1] / "data" / "aws_step_gamma1.npz"

TEXT = """
schema_version: 3
name: golden
preset: {preset}
stimulus: {{source: mnist, side: 32, batch: 6}}
network: {{dcgan: {{filters: 4, latents: 8}}, precision: {precision}, discriminator: {{hidden: 16}}}}
algorithm: {{feedforward: {{clip: null}}, discriminator: {{clip: null}}}}
schedule: [{{name: cycle, cycles: 1, phases: [{{wake: 1}}, {{rem: 1}}]}}]
"""


def golden(precision: str) -> dict[str, Tensor]:
    dtype = getattr(torch, precision)
    with np.load(GOLDEN) as arrays:
        tensors = {k: torch.from_numpy(arrays[k]) for k in arrays.files}
    return {k: t.to(dtype) if t.is_floating_point() else t for k, t in tensors.items()}


def noise_of(tensors: dict[str, Tensor]) -> dict[str, tuple[list[Tensor], list[Tensor]]]:
    names = {k.split("/")[1] for k in tensors if k.startswith("noise/")}
    found = {}
    for name in names:
        kinds = []
        for kind in ("normal", "uniform"):
            keys = [k for k in tensors if k.startswith(f"noise/{name}/{kind}_")]
            kinds.append([tensors[k] for k in sorted(keys, key=lambda k: int(k.split("_")[-1]))])
        found[name] = (kinds[0], kinds[1])
    return found


def under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k[len(prefix) :]: t for k, t in tensors.items() if k.startswith(prefix)}


def error(found: Tensor, wanted: Tensor) -> float:
    assert found.shape == wanted.shape
    return float((found - wanted).norm() / wanted.norm().clamp(min=1e-12))


def run_golden(precision: str) -> tuple[Step, dict[str, Tensor]]:
    tensors = golden(precision)
    protocol = Protocol.from_text(TEXT.format(preset="published", precision=precision), "golden")
    parameters = under(tensors, "before/")
    step = one_cycle(protocol, parameters, tensors["x"], tensors["z"], noise_of(tensors))
    return step, tensors


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-9), ("float32", 1e-4)])
def test_golden_states_losses_and_gradients(precision, tolerance):
    step, tensors = run_golden(precision)
    names = ["Input", "Layer1", "Layer2", "Layer3", "Layer4", "Layer5"]
    for phase in ("wake", "sleep"):
        for name, state in zip(names, step.states[phase], strict=True):
            assert error(state, tensors[f"{phase}/{name}"]) < tolerance
    losses = under(tensors, "loss/")
    assert losses.keys() == step.losses.keys()
    for name, wanted in losses.items():
        assert error(step.losses[name].reshape(wanted.shape), wanted) < tolerance, name
    gradients = under(tensors, "grad/")
    assert gradients.keys() == step.gradients.keys()
    for name, wanted in gradients.items():
        if name != "discriminator/linear2.bias":  # 0 but for rounding
            assert error(step.gradients[name], wanted) < tolerance, name
    assert abs(float(step.gradients["discriminator/linear2.bias"])) < tolerance


def test_golden_parameters_after_the_step():
    step, tensors = run_golden("float64")
    after = under(tensors, "after/")
    kept = {k for k in after if "derelu" not in k and "num_batches" not in k and "readout" not in k}
    assert kept == step.after.keys()
    for name in kept:
        assert error(step.after[name], after[name]) < 1e-9, name


def test_the_oracle_is_equal_to_the_golden_step_too():
    tensors = golden("float64")
    oracle = Experiment(under(tensors, "before/"))
    losses = oracle.step(tensors["x"], tensors["z"], recorded_draws(noise_of(tensors)))
    for name, wanted in under(tensors, "loss/").items():
        assert error(losses[name].detach().reshape(wanted.shape), wanted) < 1e-9, name
    for name, wanted in under(tensors, "after/").items():
        if name in oracle.p and not name.startswith("readout"):
            assert error(oracle.p[name].detach(), wanted) < 1e-9, name


def spoilt(noise: dict, name: str, kind: int, change) -> dict:
    """Return noise with the draws of one kind of one pass changed."""
    draws = [list(part) for part in noise[name]]
    draws[kind] = change(draws[kind])
    return {**noise, name: tuple(draws)}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda n: {**n, "wakee": n["wake"]}, r"no pass is called 'wakee'.*'wake'"),
        (lambda n: spoilt(n, "wake", 0, lambda d: [*d, d[-1]]), r"'wake' takes 5 normal.* 6 are"),
        (lambda n: spoilt(n, "wake", 1, lambda d: d[:-1]), r"'wake' takes 4 uniform.* 3 are"),
        (lambda n: spoilt(n, "sleep", 0, lambda d: d[::-1]), r"draw 0 of pass 'sleep' has shape"),
        (lambda n: {k: v for k, v in n.items() if k != "gp_wake"}, r"'gp_wake' takes 1 .* 0 are"),
        (lambda n: {**n, "readout": n["wake"]}, r"'readout' takes 0 normal"),
    ],
)
def test_noise_that_a_cycle_does_not_draw_is_refused(spoil, words):
    """Nothing is dropped, nothing shifts into the next pass, nothing runs out in the middle."""
    tensors = golden("float64")
    protocol = Protocol.from_text(TEXT.format(preset="published", precision="float64"), "golden")
    noise = spoil(noise_of(tensors))
    with pytest.raises(NeuroAWSError, match=words):
        one_cycle(protocol, under(tensors, "before/"), tensors["x"], tensors["z"], noise)


def test_too_many_draws_of_one_pass_do_not_shift_into_the_next():
    """A draw too many for R's penalty has the shape of the first of the next pass."""
    tensors = golden("float64")
    noise = doubly_noise(tensors, 0)
    extra = noise["readout"][0][0]
    noise["sleep"] = ([*noise["sleep"][0], extra], noise["sleep"][1])
    noise["readout"] = (noise["readout"][0][1:], noise["readout"][1])
    protocol = Protocol.from_text(
        TEXT.format(preset="published_doubly", precision="float64"), "golden"
    )
    with pytest.raises(NeuroAWSError, match="'sleep' takes 4 normal"):
        one_cycle(protocol, under(tensors, "before/"), tensors["x"], tensors["z"], noise)


SHAPES = [(4, 16, 16), (8, 8, 8), (16, 4, 4), (32, 2, 2), (8, 1, 1)]
UP = ("readout_penalty_wake", "readout", "readout_penalty_sleep", "readout_for_generator")


def doubly_noise(tensors: dict[str, Tensor], seed: int) -> dict:
    """Return the noise of all five passes; those for R stop at h_4 and take no more than that."""
    generator = torch.Generator().manual_seed(seed)
    noise = noise_of(tensors)
    for name in UP:
        normals = [torch.randn(6, *s, generator=generator, dtype=torch.float64) for s in SHAPES[:4]]
        uniforms = [
            torch.rand(6, *s, generator=generator, dtype=torch.float64).clamp(min=1e-8)
            for s in SHAPES[:3]
        ]
        noise[name] = (normals, uniforms)
    return noise


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9])
def test_doubly_adversarial_step_is_autograd_of_its_equations(gamma):
    """States, losses, gradients, parameters and running statistics; all five passes have noise of their own."""
    tensors = golden("float64")
    parameters, noise = under(tensors, "before/"), doubly_noise(tensors, 0)
    oracle = Experiment(
        parameters,
        gamma=gamma,
        penalty=0.7,
        rates=(8e-4, 2e-4, 1e-5, 1e-5),
        betas=(0.0, 0.9),
    )
    losses = oracle.losses(tensors["x"], tensors["z"], recorded_draws(noise))
    gradients = oracle.gradients(losses)
    text = TEXT.format(preset="published_doubly", precision="float64")
    protocol = Protocol.from_text(text, "golden", [f"algorithm.gamma={gamma}"])
    step = one_cycle(protocol, parameters, tensors["x"], tensors["z"], noise)
    for name, wanted in losses.items():
        found = step.losses[name].reshape(wanted.shape)
        assert error(found, wanted.detach()) < 1e-9, name
    for name, wanted in gradients.items():
        if wanted.norm() > 1e-12:
            assert error(step.gradients[name], wanted) < 1e-9, name
        else:
            assert float(step.gradients[name].norm()) < 1e-10
    for name, buffer in oracle.buffers.items():
        assert error(step.after[name], buffer) < 1e-9, name
    oracle = Experiment(
        parameters, gamma=gamma, penalty=0.7, rates=(8e-4, 2e-4, 1e-5, 1e-5), betas=(0.0, 0.9)
    )
    oracle.step(tensors["x"], tensors["z"], recorded_draws(noise))
    for name, tensor in oracle.p.items():
        assert error(step.after[name], tensor.detach()) < 1e-7, name


def test_noise_of_a_whole_pass_may_be_given_to_one_for_r():
    """As a recording may hold it that passed all layers: what R does not read is left out."""
    tensors, text = golden("float64"), TEXT.format(preset="published_doubly", precision="float64")
    short, whole = doubly_noise(tensors, 0), doubly_noise(tensors, 0)
    for name in UP:
        top = [torch.ones(6, *shape, dtype=torch.float64) for shape in (SHAPES[4], SHAPES[3])]
        whole[name] = ([*whole[name][0], top[0]], [*whole[name][1], 0.3 * top[1]])
    a, b = (
        one_cycle(
            Protocol.from_text(text), under(tensors, "before/"), tensors["x"], tensors["z"], noise
        )
        for noise in (short, whole)
    )
    assert a.after.keys() == b.after.keys()
    assert all(torch.equal(tensor, b.after[name]) for name, tensor in a.after.items())


@pytest.mark.parametrize("draws", ["each", "shared"])
def test_passes_for_r_stop_below_the_top_and_shift_no_stream(monkeypatch, draws):
    """Against whole passes: the same weights to the bit; only what the top tracked differs."""
    text = TEXT.format(preset="published_doubly", precision="float64").replace(
        "{source: mnist, side: 32, batch: 6}", "{source: digits, side: 32, batch: 16}"
    )
    spec = Protocol.from_text(text, "", [f"network.discriminator.draws={draws}"]).spec

    def state_after_two_cycles() -> dict[str, Tensor]:
        animal = build_animal(spec, 0, torch.device("cpu"))
        engine_of(animal, (Block(wake=1), Block(rem=1)), 2).run(4)
        return animal.network.state_dict()

    found = state_after_two_cycles()
    whole = partial(Network.recognise, until=None)
    monkeypatch.setattr(doubly_adversarial, "_to_readout", whole)
    wanted = state_after_two_cycles()
    differing = {name for name in found if not torch.equal(found[name], wanted[name])}
    assert differing == {"layer4.running_mean", "layer4.running_variance"}
