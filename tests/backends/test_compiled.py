"""The compiled step computes what the written-out one does, for every variant it claims to cover."""

import importlib.util
from collections.abc import Iterator

import pytest
import torch

from neuro_aws.backends.rate.build import build_animal
from neuro_aws.backends.rate.engine import Engine, Streams
from neuro_aws.backends.rate.forms import refusals
from neuro_aws.experiment.session import one_thread
from neuro_aws.model.prior import LearntPrior
from neuro_aws.perturbations import Slots
from neuro_aws.phase import KINDS, REM, WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.schedule import Schedule
from neuro_aws.protocol.schema import Block, Period
from neuro_aws.protocol.theories import THEORIES
from tests.conftest import TINY

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason="the compiled step needs numba"
)

CPU = torch.device("cpu")
CYCLE = (Block(wake=1), Block(nrem=1), Block(rem=1))

TIME = "network.homeostasis={over: time, steps: 10, mean: 0.1, variance: 0.5}"
BATCH = "network.homeostasis={over: batch, mean: 0.1, variance: 0.5}"
SGD = ("algorithm.feedforward.optimiser=sgd", "algorithm.feedforward.rate=0.05")
FAST = "algorithm.feedforward.rate=0.002"

VARIANTS: dict[str, tuple[str, ...]] = {
    "reference": (FAST,),
    "default": (FAST, TIME, "network.prior=learnt", "network.prior_components=5"),
    "one_gaussian": (FAST, "network.prior=learnt", "network.prior_components=1"),
    "held_over_batch": (*SGD, BATCH),
    "held_but_the_top": (*SGD, "network.homeostasis={over: batch, top: false}"),
    "layer_random": (FAST, "algorithm.credit=layer_random"),
    "backprop": (FAST, TIME, "algorithm.credit=backprop"),
    "backprop_over_batch": (*SGD, BATCH, "algorithm.credit=backprop"),
    "scalar": (FAST, "algorithm.credit=scalar"),
    "scalar_running": (
        FAST,
        TIME,
        "algorithm.credit=scalar",
        "algorithm.baseline=running",
        "network.noise.density=laplacian",
    ),
    "kl_only": (FAST, "algorithm.credit=none"),
    "laplacian": (FAST, "algorithm.density=laplacian", "network.noise.density=laplacian"),
    "mean_errors": (FAST, "algorithm.reduction=mean", "network.prediction=bare"),
    "softplus": (FAST, "network.transfer=softplus", "network.normalisation=l2"),
    "sigmoid": (FAST, "network.transfer=sigmoid", "network.normalisation=none"),
    "leaky": (
        FAST,
        "network.transfer=leaky_relu",
        "network.normalise_top=true",
        "network.noise.bottom=false",
    ),
    "tanh_deep": (
        "network.layers=[64, 20, 12, 8, 6]",
        "network.transfer=tanh",
        "network.derivative=surrogate",
    ),
    "surrogate": (FAST, "network.derivative=surrogate", "network.bottom=linear"),
    "shallow": (FAST, "network.layers=[64, 6]", "network.top=tanh"),
    "quiet": (FAST, "network.noise.scale=0"),
    "optimisers": (
        TIME,
        "algorithm.feedforward.betas=[0.5, 0.9]",
        "algorithm.feedforward.threshold_rate=0.01",
        "algorithm.feedforward.decay={factor: 0.5, every: 7}",
        "algorithm.feedforward.clip=0.001",
        "algorithm.feedback.apply=cycle",
        "algorithm.discriminator.optimiser=sgd",
        "algorithm.discriminator.apply=step",
    ),
    "wake_sleep": (FAST, "algorithm.name=wake_sleep", TIME),
    "wake_sleep_over_batch": (*SGD, "algorithm.name=wake_sleep", BATCH),
    "frozen": ("algorithm.name=frozen", TIME),
}

AFTER = "network.perturb_activity=after_normalisation"
BEFORE = "network.perturb_activity=before_normalisation"


def gains() -> dict[int, torch.Tensor]:
    return {layer: torch.linspace(0, 2, n).double() for layer, n in enumerate((64, 20, 6))}


def made(
    compiled: bool, *settings: str, slots: Slots | None = None, single: bool = False
) -> Engine:
    precision = "network.precision=" + ("float32" if single else "float64")
    protocol = Protocol.from_text(TINY, "tiny.yaml", (precision, *settings))
    assert not list(refusals(protocol.spec))
    built = build_animal(protocol.spec, 0, CPU)
    always = slots or Slots()
    return Engine(
        built.network,
        built.algorithm,
        built.updates,
        built.dataset,
        Schedule((Period(name="training", cycles=20, phases=CYCLE),)),
        Streams(0, torch.float32 if single else torch.float64, CPU),
        16,
        lambda _: always,
        compiled=compiled,
    )


def held(engine: Engine) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield all that a checkpoint holds."""
    yield from engine.network.state_dict().items()
    for kind, kept in engine.updates.state_dict().items():
        for name, value in kept.items():
            if value is not None:
                yield f"{kind}/{name}", torch.as_tensor(value).double()


def refuse_differences(a: Engine, b: Engine, most: float = 1e-10) -> None:
    ours, theirs = dict(held(a)), dict(held(b))
    assert ours.keys() == theirs.keys()
    for name, wanted in theirs.items():
        scale = float(wanted.double().norm()) or 1.0
        assert float((ours[name] - wanted).double().norm()) <= most * scale, name


def compare(*settings: str, slots: Slots | None = None, steps: int = 60) -> None:
    pair = [made(compiled, *settings, slots=slots) for compiled in (True, False)]
    before = pair[0].network.flat("feedback").clone()
    with one_thread():
        for step in range(steps):
            for engine in pair:
                engine.step(step)
    assert not torch.equal(before, pair[0].network.flat("feedback"))
    refuse_differences(*pair)


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_twenty_cycles_equal_those_of_the_written_out_step(variant):
    """Weights, moments, sums, running statistics, prior, baseline: to 1e-10 in float64."""
    compare(*VARIANTS[variant])


@pytest.mark.parametrize("variant", ["default", "held_over_batch", "backprop", "scalar", "kl_only"])
@pytest.mark.parametrize("order", [AFTER, BEFORE])
def test_so_do_those_with_gains(variant, order):
    compare(*VARIANTS[variant], order, slots=Slots(gains=gains()), steps=30)


def test_every_theory_that_is_covered_is_compared():
    named = {
        o.split("=")[1] for v in VARIANTS.values() for o in v if o.startswith("algorithm.name")
    }
    covered = {name for name, theory in THEORIES.items() if theory.compiled}
    assert covered == named | {"adversarial_wake_sleep"}


@pytest.mark.parametrize("variant", ["default", "scalar", "laplacian", "wake_sleep"])
def test_what_is_seen_of_a_step_is_the_same(variant):
    """State, ACh, Deltas, changes, and what is recorded of them."""
    pair = [made(compiled, *VARIANTS[variant], slots=Slots(gains=gains())) for compiled in (1, 0)]
    with one_thread():
        for step in range(6):
            ours, theirs = (engine.step(step) for engine in pair)
            for a, b in zip(ours.state.layers, theirs.state.layers, strict=True):
                for name in ("soma", "xi", "gain"):
                    assert same(getattr(a, name), getattr(b, name)), (step, name)
                for name in ("drive", "dendrite"):
                    mine, its = getattr(a, name), getattr(b, name)
                    assert (mine is None) == (its is None)
                    for part in ("rate", "potential", "value", "pool") if mine else ():
                        assert same(getattr(mine, part), getattr(its, part)), (step, name, part)
            assert same(ours.level, theirs.level) and same(ours.ach.release, theirs.ach.release)
            assert same(ours.ach.own.gradient, theirs.ach.own.gradient)
            assert same(ours.ach.teaching, theirs.ach.teaching)
            assert ours.deltas.keys() == theirs.deltas.keys()
            for kind, delta in theirs.deltas.items():
                assert same(ours.deltas[kind].teaching, delta.teaching)
                for name, tensor in delta.tensors.items():
                    assert same(ours.deltas[kind].tensors[name], tensor), (step, name)
            assert ours.changes.keys() == theirs.changes.keys()
            assert all(same(ours.changes[k], v) for k, v in theirs.changes.items())
            assert ours.neuromodulators() == pytest.approx(theirs.neuromodulators(), abs=1e-12)
            assert ours.lengths().teaching == pytest.approx(theirs.lengths().teaching)
            for a, b in zip(ours.lengths()[1:], theirs.lengths()[1:], strict=True):
                assert a.keys() == b.keys()
                assert all(a[kind] == pytest.approx(b[kind]) for kind in b)


def same(a, b) -> bool:
    if a is None or b is None:
        return a is b
    if isinstance(a, list):
        return all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(torch.allclose(a, b, rtol=1e-9, atol=1e-12))


@pytest.mark.parametrize("variant", ["reference", "default"])
def test_in_float32_the_first_deltas_agree_to_1e_5(variant):
    pair = [made(compiled, *VARIANTS[variant], single=True) for compiled in (True, False)]
    with one_thread():
        for step in (0, 2):  # wake, REM
            ours, theirs = (engine.step(step) for engine in pair)
            for kind, delta in theirs.deltas.items():
                for name, wanted in delta.tensors.items():
                    error = (ours.deltas[kind].tensors[name] - wanted).norm()
                    assert float(error) <= 1e-5 * float(wanted.norm()), name
            if step == 0:
                for engine, other in (pair, pair[::-1]):
                    engine.network.load_state_dict(other.network.state_dict())


@pytest.mark.parametrize("single", [False, True])
def test_it_repeats_itself_to_the_bit(single):
    runs = []
    with one_thread():
        for _ in range(2):
            engine = made(True, *VARIANTS["default"], single=single)
            for step in range(30):
                engine.step(step)
            runs.append(dict(held(engine)))
    assert all(torch.equal(runs[0][name], value) for name, value in runs[1].items())


def test_a_state_of_either_form_goes_on_in_the_other():
    """Moments and sums are replaced when a state is loaded; the prior's roots are computed anew."""
    settings = (*VARIANTS["default"], "algorithm.feedback.apply=cycle")
    with one_thread():
        whole = made(False, *settings)
        for step in range(60):
            whole.step(step)
        for first, then in ((True, False), (False, True), (True, True)):
            one, other = made(first, *settings), made(then, *settings)
            for step in range(31):  # in the midst of a cycle
                one.step(step)
            for step in range(7):
                other.step(step)
            other.network.load_state_dict(one.network.state_dict())
            other.updates.load_state_dict(one.updates.state_dict())
            for step in range(31, 60):
                other.step(step)
            refuse_differences(other, whole)


def test_the_heaviest_gaussian_is_split_by_both(monkeypatch):
    split = []
    original = LearntPrior.employ
    monkeypatch.setattr(LearntPrior, "employ", lambda self: (split.append(1), original(self)))
    pair = [made(c, "network.prior=learnt", "network.prior_components=4") for c in (True, False)]
    for engine in pair:
        learnt = engine.network.prior.learnt
        learnt.weight.copy_(torch.tensor([0.6, 0.3, 0.06, 0.04]))
    with one_thread():
        for step in range(60):
            for engine in pair:
                engine.step(step)
    weights = [engine.network.prior.learnt.weight for engine in pair]
    assert torch.allclose(*weights, rtol=1e-10)
    assert float(weights[0].max()) < 0.4  # an idle one took half of the heaviest
    refuse_differences(*pair)
    assert split


def test_covariances_that_are_not_positive_are_replaced_by_their_diagonal():
    pair = [made(c, "network.prior=learnt", "network.prior_components=3") for c in (True, False)]
    for engine in pair:
        engine.network.prior.learnt.second[1] -= 0.5 * torch.ones(6, 6).double()
    with one_thread():
        for step in range(12):
            for engine in pair:
                engine.step(step)
    refuse_differences(*pair)


def test_nothing_moves_where_scales_are_zero():
    engine = made(True, *VARIANTS["default"], slots=Slots(scales=dict.fromkeys(KINDS, 0.0)))
    before = {kind: engine.network.flat(kind).clone() for kind in engine.network.kinds}
    with one_thread():
        changes = [engine.step(step).changes for step in range(6)]
    assert all(torch.equal(before[k], engine.network.flat(k)) for k in before)
    assert not any(changes)
    assert all(rule.moments.count == 0 for rule in engine.updates.plasticity.values())


def test_levels_of_wake_and_rem_lie_apart():
    """The status line compares those of the last step of each."""
    engine = made(True)
    with one_thread():
        wake = engine.step(0)
        kept = wake.level.clone()
        assert engine.step(2).spec.phase is REM and wake.spec.phase is WAKE
    assert torch.equal(wake.level, kept)
