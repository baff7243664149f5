"""Laws that every algorithm obeys: one table, all of them."""

import pytest
import torch

from neuro_aws.backends.rate.engine import Engine
from neuro_aws.errors import NeuroAWSError
from neuro_aws.perturbations import Slots
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, KINDS, NREM, REM, WAKE
from neuro_aws.protocol.schema import Block
from neuro_aws.protocol.theories import THEORIES
from tests.engines import engine_of
from tests.theories import fitted

CONV = "network.dcgan={filters: 2, latents: 4, side: 16}"
DREAMING = "algorithm.name=perturbed_adversarial_dreaming"
DDC = "algorithm.name=ddc_helmholtz"
SMALL_CODE = ("algorithm.functions=12", "algorithm.expansion=16")
WALKING = ("algorithm.name=variational_walkback", "algorithm.factor=5", "network.noise.scale=0")
HEARD = "network.recurrent={symbols: 28, steps: 6, hidden: 20, heard_above: 0, learns_below: 1}"
LISTENING = tuple(s for s in fitted("professor_forcing") if not s.startswith("network.recurrent"))
BINARY = (
    "network.units=binary",
    "network.transfer=sigmoid",
    "network.bottom=sigmoid",
    "network.top=sigmoid",
    "network.normalisation=none",
    "network.noise.scale=0",
)

VARIANTS = {
    "aws_layer": (),
    "aws_layer_random": ("algorithm.credit=layer_random",),
    "aws_backprop": ("algorithm.credit=backprop",),
    "aws_scalar": ("algorithm.credit=scalar",),
    "aws_none": ("algorithm.credit=none",),
    "aws_laplacian": ("algorithm.density=laplacian", "network.noise.density=laplacian"),
    "aws_sgd": ("algorithm.feedforward.optimiser=sgd", "algorithm.feedback.optimiser=sgd"),
    "aws_inverse_relu": ("network.inverse_relu=0.5",),
    "aws_published_order": ("network.order=published",),
    "wake_sleep": ("algorithm.name=wake_sleep",),
    "wake_sleep_laplacian": ("algorithm.name=wake_sleep", "algorithm.density=laplacian"),
    "frozen": ("algorithm.name=frozen",),
    "inter_neuron": ("algorithm.name=interneuron",),
    "inter_neuron_held": ("algorithm.name=interneuron", "network.homeostasis.over=time"),
    "conv_inter_neuron": (CONV, "algorithm.name=interneuron"),
    "conv_aws_layer": (CONV,),
    "conv_aws_backprop": (CONV, "algorithm.credit=backprop", "network.inverse_relu=0.5"),
    "conv_aws_scalar": (CONV, "algorithm.credit=scalar"),
    "conv_aws_random": (CONV, "algorithm.credit=layer_random"),
    "conv_aws_none": (CONV, "algorithm.credit=none"),
    "conv_aws_normalised": (
        CONV,
        "network.batch_norm=affine",
        "network.batch_norm_feedback=true",
        "network.prior=learnt",
        "network.discriminator.penalty_scope=pair",
        "network.memory={hopfield: continuous, patterns: 32, best: 4, share: 0.5}",
    ),
    "aws_held_over_batch": ("network.homeostasis={over: batch, mean: 0.1, variance: 0.5}",),
    "aws_held_over_time": ("network.homeostasis={over: time, steps: 10}", "network.prior=learnt"),
    "aws_held_backprop": ("network.homeostasis.over=time", "algorithm.credit=backprop"),
    "aws_held_scalar": ("network.homeostasis.over=time", "algorithm.credit=scalar"),
    "wake_sleep_held": ("network.homeostasis.over=time", "algorithm.name=wake_sleep"),
    "both_held_doubly": ("network.homeostasis.over=time", "algorithm.name=doubly_adversarial"),
    "conv_aws_held_over_batch": (CONV, "network.homeostasis={over: batch, top: false}"),
    "conv_aws_held_over_time": (CONV, "network.homeostasis={over: time, steps: 10}"),
    "conv_aws_spectral": (CONV, "network.spectral=true"),
    "conv_wake_sleep": (CONV, "algorithm.name=wake_sleep"),
    "conv_both_doubly": (CONV, "algorithm.name=doubly_adversarial"),
    "conv_both_wgan": (CONV, "algorithm.name=doubly_adversarial", "algorithm.gamma=0"),
    "conv_wake_sleep_binary": (CONV, *BINARY, "algorithm.name=wake_sleep"),
    "conv_aws_binary": (CONV, *BINARY, "algorithm.kl=0", "algorithm.credit=scalar"),
    "both_doubly": ("algorithm.name=doubly_adversarial",),
    "vae": ("algorithm.name=vae",),
    "vae_laplacian": (
        "algorithm.name=vae",
        "algorithm.density=laplacian",
        "network.noise.density=laplacian",
    ),
    "vae_held": ("algorithm.name=vae", "network.homeostasis={over: time, steps: 10, top: false}"),
    "conv_vae": (CONV, "algorithm.name=vae"),
    "autoencoder": ("algorithm.name=autoencoder",),
    "autoencoder_held": ("algorithm.name=autoencoder", "network.homeostasis.over=time"),
    "conv_autoencoder": (CONV, "algorithm.name=autoencoder", "algorithm.cross_entropy=true"),
    "denoising": ("algorithm.name=denoising_autoencoder", "algorithm.density=laplacian"),
    "conv_denoising": (CONV, "algorithm.name=denoising_autoencoder", "algorithm.masked=0.3"),
    "predictive_coding": ("algorithm.name=predictive_coding",),
    "predictive_none": ("algorithm.name=predictive_coding", "network.normalisation=none"),
    "amortised_predictive": ("algorithm.name=predictive_coding", "algorithm.amortised=true"),
    "conv_predictive_coding": (
        CONV,
        "algorithm.name=predictive_coding",
        "algorithm.settling_steps=3",
    ),
    "conv_amortised_predictive": (
        CONV,
        "algorithm.name=predictive_coding",
        "algorithm.amortised=true",
        "algorithm.settling_steps=3",
        "network.batch_norm=affine",
    ),
    "boltzmann": ("algorithm.name=boltzmann", *BINARY),
    "boltzmann_persistent": (
        "algorithm.name=boltzmann",
        "algorithm.persistent=true",
        "algorithm.gibbs_steps=3",
        "algorithm.feedforward.optimiser=adam",
        *BINARY,
    ),
    "conv_boltzmann": (CONV, *BINARY, "algorithm.name=boltzmann"),
    "ddc": (DDC, *SMALL_CODE, "network.bottom=linear"),
    "ddc_sparse": (
        DDC,
        *SMALL_CODE,
        "network.bottom=linear",
        "algorithm.causes=laplacian",
        "algorithm.decorrelated=false",
    ),
    "ddc_binary": (DDC, *SMALL_CODE, *BINARY),
    "both_gan": ("algorithm.name=gan",),
    "both_wgan_gp": ("algorithm.name=wgan_gp",),
    "both_wgan_gp_held": ("algorithm.name=wgan_gp", "network.homeostasis.over=time"),
    "conv_both_gan": (
        CONV,
        "algorithm.name=gan",
        "network.batch_norm=affine",
        "network.batch_norm_feedback=true",
        "network.transfer=leaky_relu_0.2",
    ),
    "conv_both_wgan_gp": (CONV, "algorithm.name=wgan_gp"),
    "both_ebgan": ("algorithm.name=ebgan", "algorithm.margin=1000"),
    "both_ebgan_held": (
        "algorithm.name=ebgan",
        "algorithm.margin=1000",
        "network.homeostasis={over: time, steps: 10}",
    ),
    "conv_ebgan": (
        CONV,
        "algorithm.name=ebgan",
        "algorithm.margin=1000",
        "network.batch_norm_feedback=true",
    ),
    "contrastive": ("algorithm.name=contrastive_backprop", "algorithm.langevin_steps=3"),
    "contrastive_persistent": (
        "algorithm.name=contrastive_backprop",
        "algorithm.persistent=true",
        "algorithm.langevin_steps=3",
    ),
    "conv_contrastive": (
        CONV,
        "algorithm.name=contrastive_backprop",
        "algorithm.langevin_steps=3",
    ),
    "walkback": (*WALKING, "algorithm.own_parameters=true"),
    "walkback_bernoulli": (*WALKING, "algorithm.states=bernoulli"),
    "conv_walkback": (CONV, *WALKING, "algorithm.own_parameters=true"),
    "teacher_forcing": fitted("teacher_forcing"),
    "scheduled_sampling": (*fitted("scheduled_sampling"), "algorithm.over=2"),
    "professor_forcing": (*LISTENING, HEARD),
    "professor_both": (*LISTENING, HEARD, "algorithm.forced=0.5"),
    "dreaming": (DREAMING,),
    "dreaming_held_over_time": (DREAMING, "network.homeostasis={over: time, steps: 10}"),
    "dreaming_held_over_batch": (DREAMING, "network.homeostasis.over=batch"),
    "conv_dreaming": (CONV, DREAMING, "network.batch_norm=affine", "algorithm.latent_noise=0.1"),
    "own": (
        "algorithm.name=tests.algorithms.test_conformance:Own",
        "algorithm.options={gain: 2.0}",
    ),
}
LEARNS_IN = {
    "aws": {WAKE},
    "wake": {REM},
    "frozen": set(),
    "vae": {WAKE},
    "autoencoder": {WAKE},
    "denoising": {WAKE},
    "own": {WAKE},
    "both": {WAKE, REM},
    "ebgan": {WAKE, REM},
    "contrastive": {WAKE, REM},
    "predictive": set(),
    "amortised": {WAKE},
    "boltzmann": {WAKE, REM},
    "ddc": {REM},
    "inter": {WAKE},
    "walkback": {WAKE},
    "dreaming": {WAKE, REM},
    "teacher": {WAKE},
    "scheduled": {WAKE},
    "professor": {WAKE, REM},
}
"""The phases in which feedforward connections learn, by the first word of a variant."""

LEARNS_IN_NREM = {"dreaming"}
"""First words of the variants that learn something in NREM."""


def theory(variant):
    return variant.removeprefix("conv_").split("_")[0]


class Own:
    """A user's own algorithm: feedforward weights grow with activity, in wake."""

    def __init__(self, gain: float) -> None:
        self.gain = gain

    def propagate(self, network, stimulus, phase, noise, gains):
        from neuro_aws.algorithms.base import propagate

        return propagate(network, stimulus, phase, noise, gains)

    def deltas(self, network, state, ach, phase):
        from neuro_aws.model.state import Delta

        if phase is not WAKE:
            return {}
        weights = network.parameters(FEEDFORWARD)
        tensors = {name: self.gain * 1e-3 * torch.ones_like(t) for name, t in weights.items()}
        return {FEEDFORWARD: Delta(tensors, ach.gate)}


def engine(built, phases, slots=None, cycles=None) -> Engine:
    return engine_of(built, phases, cycles or (2 if built.network.maps else 5), slots)


def simulate(engine: Engine) -> list[torch.Tensor]:
    for step in range(engine.schedule.steps):
        engine.step(step)
    return weights(engine.network)


def weights(network) -> list[torch.Tensor]:
    return [t.clone() for kind in KINDS for t in network.parameters(kind).values()]


PAIR = (Block(wake=1), Block(nrem=1), Block(rem=1))


def test_the_table_is_covered():
    named = {
        o.split("=")[1] for v in VARIANTS.values() for o in v if o.startswith("algorithm.name")
    }
    assert set(THEORIES) <= named | {"adversarial_wake_sleep"}


@pytest.mark.parametrize("variant", list(VARIANTS))
class TestEveryAlgorithm:
    def test_reset_repeats_the_run_and_another_animal_is_another_one(self, animal, variant):
        first, again, other = (
            simulate(engine(animal(*VARIANTS[variant], seed=seed), PAIR)) for seed in (0, 0, 1)
        )
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))

    def test_something_is_learnt_in_nrem_only_by_those_that_say_so(self, animal, variant):
        built = animal(*VARIANTS[variant])
        simulate(engine(built, (Block(wake=1),), cycles=1))
        before = weights(built.network)
        after = simulate(engine(built, (Block(nrem=1),)))
        same = all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        assert same == (theory(variant) not in LEARNS_IN_NREM)

    @pytest.mark.parametrize("phase", [WAKE, REM])
    def test_feedforward_learns_in_its_own_phase_only(self, animal, variant, phase):
        built = animal(*VARIANTS[variant])
        before = built.network.flat(FEEDFORWARD).clone()
        simulate(engine(built, (Block(wake=1),) if phase is WAKE else (Block(rem=1),)))
        moved = not torch.equal(before, built.network.flat(FEEDFORWARD))
        assert moved == (phase in LEARNS_IN[theory(variant)])

    def test_a_gate_or_a_scale_of_zero_moves_nothing(self, animal, variant):
        built = animal(*VARIANTS[variant])
        before = weights(built.network)
        after = simulate(engine(built, PAIR, Slots(scales=dict.fromkeys(KINDS, 0.0))))
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        assert all(r.moments.count == 0 for r in built.updates.plasticity.values())

    def test_deltas_have_the_shapes_of_the_weights_and_are_finite(self, animal, variant):
        built = animal(*VARIANTS[variant])
        one = engine(built, PAIR)
        for step in range(6):
            for kind, delta in one.step(step).deltas.items():
                own = built.network.parameters(kind)
                assert delta.tensors.keys() == own.keys()
                for name, tensor in delta.tensors.items():
                    assert tensor.shape == own[name].shape
                    assert bool(torch.isfinite(tensor).all())

    def test_half_the_rate_moves_half_as_far_in_the_first_step(self, animal, variant):
        phases = LEARNS_IN[theory(variant)]
        if not phases:
            return  # it has no feedforward rate
        phase = (Block(wake=1),) if WAKE in phases else (Block(rem=1),)
        moves = []
        for rate in (1e-4, 5e-5):
            built = animal(*VARIANTS[variant], f"algorithm.feedforward.rate={rate}")
            top = f"feedforward_into{built.network.depth}"
            before = built.network.parameters(FEEDFORWARD)[top].clone()
            simulate(engine(built, phase, cycles=1))
            moves.append(built.network.parameters(FEEDFORWARD)[top] - before)
        assert torch.allclose(moves[0], 2 * moves[1], rtol=1e-6, atol=1e-12)


def test_feedback_learns_to_predict(animal):
    """The layerwise error falls under every algorithm that has the rule (a margin of 20 %)."""
    for name in ("adversarial_wake_sleep", "wake_sleep", "frozen"):
        built = animal(f"algorithm.name={name}", "algorithm.feedback.rate=0.01")
        x = built.dataset.held_out

        def error(network, x=x):
            somata = network.recognise(x, None).somas
            return sum(
                float((h - layer.predict(above).rate).square().mean())
                for layer, h, above in zip(network.layers, somata, somata[1:], strict=False)
            )

        start = error(built.network)
        simulate(engine(built, (Block(wake=1), Block(rem=1)), cycles=150))
        assert error(built.network) < 0.8 * start, name


def test_discriminator_separates_wake_from_rem(animal):
    built = animal("algorithm.name=frozen", "algorithm.feedback.rate=0.000001")
    one = engine(built, (Block(wake=1), Block(rem=1)), cycles=200)
    moments = [one.step(step) for step in range(400)]
    gap = [float(m.ach.level.mean()) * (1 if m.spec.phase is WAKE else -1) for m in moments[-40:]]
    assert sum(gap) / 20 > 1.0  # mean D in wake minus mean D in REM, from about 0 at initialisation


def test_release_is_counted_from_the_mean_in_rem(animal):
    one = engine(animal(), (Block(wake=1), Block(rem=1), Block(nrem=1)), cycles=100)
    moments = [one.step(step) for step in range(300)]
    rem = [float(m.ach.release.mean()) for m in moments[150:] if m.spec.phase is REM]
    wake = [float(m.ach.release.mean()) for m in moments[150:] if m.spec.phase is WAKE]
    assert abs(sum(rem) / len(rem)) < 0.3 * abs(sum(wake) / len(wake))
    assert all(float(m.ach.release.abs().sum()) == 0 for m in moments if m.spec.phase is NREM)
    assert {float(m.ach.gate) for m in moments if m.spec.phase is WAKE} == {1.0}
    assert {float(m.ach.gate) for m in moments if m.spec.phase is not WAKE} == {0.0}


def test_discriminator_changes_once_a_cycle_by_default_f_and_g_in_wake(animal):
    one = engine(animal(), (Block(wake=2), Block(rem=2)), cycles=2)
    changed = [set(one.step(step).changes) for step in range(4)]
    assert changed == [{FEEDFORWARD, FEEDBACK}, {FEEDFORWARD, FEEDBACK}, set(), {DISCRIMINATOR}]


@pytest.mark.parametrize(
    "name", ["no_such_module:Thing", "tests.algorithms.test_conformance:Nothing"]
)
def test_an_algorithm_that_cannot_be_imported_is_named(animal, name):
    with pytest.raises(NeuroAWSError, match="cannot be imported"):
        animal(f"algorithm.name={name}")


class Returning(Own):
    """The same, which asks for ACh's teaching signal to come back through weights of its own."""

    return_path = True


def test_a_return_path_is_there_for_a_class_that_asks_for_it(animal):
    own = "algorithm.name=tests.algorithms.test_conformance:"
    asked = animal(f"{own}Returning", "algorithm.options={gain: 2.0}")
    not_asked = animal(f"{own}Own", "algorithm.options={gain: 2.0}")
    theory = animal("algorithm.credit=layer_random")
    assert not_asked.network.acetylcholine.return_path is None
    assert theory.network.acetylcholine.return_path is not None
    assert asked.network.acetylcholine.return_path is not None
    for mine, its in zip(
        asked.network.acetylcholine.return_path.reading,
        theory.network.acetylcholine.return_path.reading,
        strict=True,
    ):
        assert torch.equal(mine, its)
