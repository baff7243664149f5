"""Perturbed steps are the same in both forms: slots of a protocol, one by one."""

import importlib.util
from dataclasses import replace

import pytest

from neuro_aws.backends.base import make
from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.experiment.session import one_thread
from neuro_aws.protocol import Protocol
from neuro_aws.recording.writer import Discard
from tests.conftest import TINY

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason="the compiled step needs numba"
)

HELD = TINY.replace("preset: without_homeostasis\n", "").replace(
    "layers: [64, 20, 6],", "layers: [64, 20, 6], precision: float64, prior_components: 4,"
)
TEXT = HELD.replace("measure:\n  - {measure: target_cells, every: 2}\n  - ach_gap\n", "").replace(
    "{silence: {targets: cells}, during: rem, in: critical_period}", "PERTURBATION"
)

PERTURBATIONS = {
    "silence": "{silence: {targets: cells}, during: rem}",
    "scale": "{scale: {targets: cells, by: 2}, during: [wake, rem]}",
    "clamp": "{clamp: {neuromodulator: ach}}",
    "clamp_held": "{clamp: {neuromodulator: ach, discriminator: held}}",
    "block_ach": "{block: {neuromodulator: ach}}",
    "block_homeostasis": "{block: {homeostasis: true}}",
    "dose": "{dose: {neuromodulator: ach, by: 0.5}}",
    "dose_by_label": "{dose: {neuromodulator: ach, by: 0.5, labels: [1, 2]}}",
    "pair": "{pair: {labels: [3, 4], gain: 3}}",
    "shuffled": "{yoke: {teaching: shuffled}}",
    "random": "{yoke: {teaching: random}}",
    "own": f"{{apply: {{code: '{__name__}:TopOnly'}}}}",
    "plasticity": "{plasticity: {feedforward: 0.5, discriminator: 0}}",
}


class TopOnly:
    """A perturbation of the user's own: the top layer receives no teaching signal, the others do."""

    def neuromodulator(self, signal, labels, draws):
        return replace(signal, teaching=[*signal.teaching[:-1], 0 * signal.teaching[-1]])


class Rows(Discard):
    """Keeps what is recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, list] = {}

    def put(self, path, value):
        self.rows.setdefault(path, []).append(value)


def advanced(text: str, compiled: bool, *settings: str) -> tuple[RateSimulator, Rows]:
    protocol = Protocol.from_text(text, "p.yaml", settings, allow_code=True)
    rows = Rows()
    with one_thread():
        simulator = make(protocol, "rem_silenced", 0, compiled=compiled)
        simulator.advance(0, 70, rows, lambda: False)
    return simulator, rows


def refuse_differences(*args) -> None:
    (ours, put), (theirs, wanted) = (advanced(args[0], c, *args[1:]) for c in (True, False))
    mine, its = ours.state_dict(), theirs.state_dict()
    assert mine.keys() == its.keys()
    for name, value in its.items():
        assert mine[name] == pytest.approx(value, rel=1e-8, abs=1e-10), name
    assert put.rows.keys() == wanted.rows.keys()
    for path, values in wanted.rows.items():
        for a, b in zip(put.rows[path], values, strict=True):
            assert a == pytest.approx(b, rel=1e-6, abs=1e-9, nan_ok=True), path
    assert ours.observed("ach", None, True).values == pytest.approx(
        theirs.observed("ach", None, True).values
    )
    assert ours.status()


@pytest.mark.parametrize("credit", ["layer", "scalar"])
@pytest.mark.parametrize("name", list(PERTURBATIONS))
def test_weights_and_records_of_a_perturbed_arm_are_the_same(name, credit):
    entry = PERTURBATIONS[name].removesuffix("}") + ", in: critical_period}"
    text = TEXT.replace("PERTURBATION", entry)
    every = "record.samples.every=4"
    refuse_differences(text, f"algorithm.credit={credit}", every)
