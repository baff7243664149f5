"""Sequences: digits pixel by pixel, text that comes with Python, arrays; what does not serve is refused."""

import numpy as np
import pytest
import torch

from neuro_aws.errors import NeuroAWSError, ProtocolError
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.data import missing, refuse_missing
from neuro_aws.protocol.sequences import ALPHABET, Sequences, python_text
from neuro_aws.protocol.stimuli_built_in import Digits
from neuro_aws.stimuli.digits import digits
from neuro_aws.stimuli.sequences import sequences
from tests.sequences import PROTOCOL, animal_of

F64 = torch.float64


def made(**settings):
    return sequences(Sequences(source="sequences", **settings), 2, F64)


def numbers(rows: torch.Tensor, symbols: int) -> torch.Tensor:
    found = rows.view(len(rows), -1, symbols)
    assert torch.equal(found.sum(-1), torch.ones(found.shape[:2], dtype=F64))
    return found.argmax(-1)


def test_digits_are_read_pixel_by_pixel():
    found = made(of="digits", side=16, held_out=100)
    plain = digits(Digits(source="digits", side=16, held_out=100), 2, F64)
    assert torch.equal(numbers(found.train, 2), (plain.train > 0).long())
    assert torch.equal(numbers(found.held_out, 2), (plain.held_out > 0).long())
    assert torch.equal(found.held_out_labels, plain.held_out_labels)
    assert (found.shape, found.channels) == ((256, 1), 2)
    few = made(of="digits", side=16, held_out=2)  # fewer than digits as pictures may hold out
    assert torch.equal(few.held_out, found.held_out[:2])
    assert len(few.train) == 1795


def test_text_is_cut_into_windows_none_of_them_twice():
    found = made(of="text", length=20, count=300, held_out=50)
    train, held_out = numbers(found.train, 28), numbers(found.held_out, 28)
    assert (len(train), len(held_out)) == (250, 50)
    text = python_text()
    assert set(text) == set(ALPHABET)
    assert "  " not in text
    assert ".." not in text
    places = [
        text[start : start + 20]
        for start in range(0, len(text) - 19, 20)
    ]  # fmt: skip
    words = ["".join(ALPHABET[k] for k in row) for row in torch.cat([train, held_out]).tolist()]
    assert set(words) <= set(places)
    assert len(words) - len(set(words)) <= len(places) - len(set(places))
    other = sequences(
        Sequences(source="sequences", of="text", length=20, count=300, held_out=50), 3, F64
    )
    assert not torch.equal(other.train, found.train)


def test_arrays_are_read_as_they_are(tmp_path):
    given = np.random.default_rng(0).integers(5, size=(40, 7), dtype=np.uint8)
    given[0] = 4
    np.save(tmp_path / "mine.npy", given)
    found = made(of="array", file=str(tmp_path / "mine.npy"), held_out=10)
    both = torch.cat([numbers(found.held_out, 5), numbers(found.train, 5)])
    assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, given.tolist()))
    assert Sequences(source="sequences", of="array", file=str(tmp_path / "mine.npy")).sequence == (
        7,
        5,
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (np.zeros((40, 7)), "float64 of shape"),
        (np.zeros((40, 7), int), "symbols 0 to 0"),
        (np.full((40, 7), 256), "symbols 256 to 256"),
        (np.arange(280).reshape(40, 7) - 1, "symbols -1 to 278"),
        (np.ones((40, 7, 2), int), r"shape \(40, 7, 2\)"),
        (np.ones((4, 7), int), "4 sequences, but 10 are to be held out"),
        (np.ones((40, 1), int), "sequences of 1 steps"),
    ],
)
def test_arrays_that_are_no_sequences_are_refused_in_a_line(tmp_path, given, says):
    np.save(tmp_path / "x.npy", given)
    section = Sequences(source="sequences", of="array", file=str(tmp_path / "x.npy"), held_out=10)
    with pytest.raises(NeuroAWSError, match=says) as error:
        refuse_missing(section)
    assert "\n" not in str(error.value)


def test_what_is_not_there_is_said(tmp_path):
    gone = Sequences(source="sequences", of="array", file=str(tmp_path / "gone.npy"))
    assert "no such file" in str(missing(gone))
    assert gone.sequence is None
    many = Sequences(source="sequences", of="text", length=4000, count=2000)
    assert "2000 windows of 4000 characters" in str(missing(many))


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("network.recurrent.steps", "8", "are 9 steps of 28 symbols; write"),
        ("network.recurrent.symbols", "27", "are 9 steps of 28 symbols; write"),
        ("stimulus.side", "16", "has a meaning with `of: digits` only"),
        ("stimulus.held_out", "79", "hold out 78 at most"),
        ("algorithm.name", "wake_sleep", "wake_sleep has no form for a recurrent network"),
        (
            "network.memory",
            "{hopfield: continuous}",
            "memory has no meaning beside a recurrent layer",
        ),
        ("network.transfer", "tanh", "transfer has no meaning beside a recurrent layer"),
        ("network.homeostasis", "{over: time}", "neither homeostasis nor noise"),
        ("network.lateral", "[1]", "has lateral weights anyway"),
        ("network.discriminator.penalty", "1.0", "penalty has no meaning for D over a sequence"),
        ("network.layers", "[28, 6]", "recurrent makes layers"),
        ("measure", "[from_top]", "from_top has no meaning for sequences"),
        ("measure", "[occluded_probe]", "occluded_probe needs"),
        ("measure", "[frechet_distance]", "frechet_distance has no meaning for sequences"),
        ("measure", "[linear_probe]", "needs labelled stimuli"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_run(key, value, says):
    with pytest.raises(ProtocolError, match=says):
        Protocol.from_text(PROTOCOL, "sequences.yaml", (f"{key}={value}",))


DENSE = """
schema_version: 3
name: dense
stimulus: {source: digits}
schedule: [{name: all, cycles: 1, phases: [{wake: 1}]}]
"""


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (("stimulus={source: sequences, of: text}",), "write `network: {recurrent:"),
        (("algorithm.name=teacher_forcing",), "no form for layers without recurrence"),
        (("measure=[free_running]",), "free_running needs a recurrent network"),
        (("network.recurrent={}", "algorithm.name=teacher_forcing"), "reads sequences; digits"),
    ],
)
def test_other_networks_are_refused_what_belongs_to_recurrent_ones(settings, says):
    with pytest.raises(ProtocolError, match=says):
        Protocol.from_text(DENSE, "dense.yaml", settings)


def test_a_clamp_in_rem_is_for_a_theory_that_is_taught_there():
    clamp = "arms.clamped.perturb=[{clamp: {neuromodulator: ach}, during: rem, in: critical}]"
    with pytest.raises(ProtocolError, match="clamp acts in wake only"):
        Protocol.from_text(PROTOCOL, "sequences.yaml", (clamp,))
    professor = "algorithm.name=professor_forcing"
    Protocol.from_text(PROTOCOL, "sequences.yaml", (clamp, professor))
    by_arm = "arms.clamped.set={algorithm: {name: professor_forcing}}"
    Protocol.from_text(PROTOCOL, "sequences.yaml", (clamp, by_arm))
    other = "arms.clamped.set={algorithm: {name: scheduled_sampling}}"
    with pytest.raises(ProtocolError, match="clamp acts in wake only"):
        Protocol.from_text(PROTOCOL, "sequences.yaml", (clamp, professor, other))


def test_rows_become_maps_of_time():
    built = animal_of()
    x = built.dataset.train[:3]
    h = built.network.admit(x)
    assert h.shape == (3, 28, 9, 1)
    assert torch.equal(h[1, :, 4, 0], x[1].view(9, 28)[4])
