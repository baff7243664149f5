"""Initial weights have the scale of their fan-in."""

import pytest

from neuro_aws.phase import FEEDBACK, FEEDFORWARD

CONV = "network.dcgan={filters: 8, latents: 40, side: 32}"


def test_dense_weights_start_at_one_over_fan_in_and_feedback_at_half_of_it(animal):
    network = animal("network.layers=[64, 120, 60]").network
    for kind, below in ((FEEDFORWARD, (64, 120)), (FEEDBACK, (120, 60))):
        weights = [t for n, t in network.parameters(kind).items() if not n.endswith("_bias")]
        for weight, fan_in in zip(weights, below, strict=True):
            wanted = (1.0 if kind == FEEDFORWARD else 0.5) / fan_in**0.5
            assert float(weight.std()) == pytest.approx(wanted, rel=0.05)


def test_convolutional_feedback_counts_the_positions_that_reach_a_unit(animal):
    """4 positions of every channel above; under the top 1, and (as it always was) at side 4 too."""
    network = animal(CONV, "stimulus.side=32").network
    channels = (8, 16, 32, 64, 40)
    for i, (above, positions) in enumerate(zip(channels, (4, 4, 4, 1, 1), strict=True)):
        weight = network.parameters(FEEDBACK)[f"feedback_into{i}"]
        wanted = 0.5 / (above * positions) ** 0.5
        assert float(weight.std()) == pytest.approx(wanted, rel=0.15 if i == 0 else 0.05)
