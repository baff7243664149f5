"""What a network declares is what it is built of, by name."""

import pytest
import torch

from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, KINDS, READOUT
from neuro_aws.protocol.projections import declared

CONV = "network.dcgan={filters: 2, latents: 4, side: 32}"
SIDE = "stimulus.side=32"
NETWORKS = {
    "dense": (),
    "dense_published": (
        "network.discriminator.spread=true",
        "network.discriminator.pooled=true",
    ),
    "dense_readout": ("algorithm.name=doubly_adversarial",),
    "lateral": ("network.lateral=[2, 1]",),
    "conv": (CONV, SIDE),
    "conv_affine": (CONV, SIDE, "network.batch_norm=affine", "network.discriminator.spread=true"),
    "conv_plain": (CONV, SIDE, "network.batch_norm=plain", "algorithm.name=doubly_adversarial"),
}


@pytest.mark.parametrize("which", list(NETWORKS))
def test_names_and_shapes_are_declared_without_torch(animal, which):
    network = animal(*NETWORKS[which]).network
    shapes = {n: tuple(t.shape) for k in KINDS for n, t in network.parameters(k).items()}
    wanted = {n: s for p in network.projections for n, s in p.tensors.items()}
    assert list(wanted.items()) == list(shapes.items())
    assert {p.kind for p in network.projections} == set(network.kinds)


def test_a_projection_says_where_it_comes_from_and_goes_to(animal):
    network = animal("network.lateral=[1]", "algorithm.name=doubly_adversarial").network
    ends = {p.name: (p.kind, p.source, p.target) for p in network.projections}
    assert ends == {
        "feedforward_into1": (FEEDFORWARD, 0, 1),
        "feedforward_into2": (FEEDFORWARD, 1, 2),
        "feedback_into0": (FEEDBACK, 1, 0),
        "feedback_into1": (FEEDBACK, 2, 1),
        "lateral_in1": ("lateral", 1, 1),
        "discriminator": (DISCRIMINATOR, None, None),
        "readout": (READOUT, 1, None),
    }


@pytest.mark.parametrize("which", ["dense_published", "conv_affine", "lateral"])
def test_a_vector_comes_apart_into_the_weights_it_changes(animal, which):
    """Changing one tensor through the vector of its kind changes that tensor and no other."""
    network = animal(*NETWORKS[which]).network
    for kind in network.kinds:
        for name in network.parameters(kind):
            change = torch.zeros_like(network.flat(kind))
            network.named(kind, change)[name].fill_(1.0)
            before = {n: t.clone() for n, t in network.state_dict().items()}
            network.apply({kind: change})
            after = network.state_dict()
            moved = {n for n, t in before.items() if not torch.equal(t, after[n])}
            assert moved == {name}
            assert torch.allclose(after[name], before[name] + 1)


def test_the_layers_compute_with_the_weights_of_that_name(animal):
    network = animal("network.noise.scale=0").network
    x = torch.rand(5, 64, dtype=torch.float64)
    weight = network.parameters(FEEDFORWARD)["feedforward_into1"]
    bias = network.parameters(FEEDFORWARD)["feedforward_into1_bias"]
    weight.zero_(), bias.fill_(2.0)
    drive = network.recognise(x, None).layers[1].drive
    assert drive is not None
    assert torch.equal(drive.potential, torch.full((5, 20), 2.0, dtype=torch.float64))
    back = network.parameters(FEEDBACK)["feedback_into0_bias"]
    network.parameters(FEEDBACK)["feedback_into0"].zero_(), back.fill_(0.5)
    dreamt = network.dream(torch.randn(5, 6, dtype=torch.float64), None)
    assert torch.allclose(dreamt.layers[0].soma, torch.tanh(back).expand(5, 64))


def test_other_weights_can_be_put_in_place_and_taken_back(animal):
    network = animal().network
    kept = network.parameters(FEEDFORWARD)
    other = {name: torch.zeros_like(t) for name, t in reversed(kept.items())}
    x = torch.rand(5, 64, dtype=torch.float64)
    before = network.recognise(x, None).somas[-1]
    network.put(FEEDFORWARD, other)
    assert bool((network.recognise(x, None).somas[-1] == 0).all())
    assert list(network.parameters(FEEDFORWARD)) == list(kept)
    network.put(FEEDFORWARD, kept)
    assert torch.equal(network.recognise(x, None).somas[-1], before)


def test_a_state_of_another_network_is_refused_in_one_line(animal):
    from neuro_aws.errors import NeuroAWSError

    network = animal().network
    other = animal("network.lateral=[1]").network.state_dict()
    with pytest.raises(NeuroAWSError, match="lateral_in1"):
        network.load_state_dict(other)


def test_lateral_layers_are_refused_where_there_are_none(animal):
    for setting in ("network.lateral=[3]", "network.lateral=[0]", "network.lateral=[1, 1]"):
        with pytest.raises(Exception, match="lateral"):
            animal(setting)
    with pytest.raises(Exception, match="lateral"):
        animal("network.dcgan={filters: 2, latents: 4, side: 16}", "network.lateral=[1]")


def test_a_readout_is_declared_only_where_there_is_one(animal):
    section = animal().network
    assert READOUT not in section.kinds
    assert READOUT in animal("algorithm.name=doubly_adversarial").network.kinds


def test_recorded_weights_are_the_declared_ones(tiny):
    from neuro_aws.protocol.columns import weight_shapes

    wanted = {n: s for p in declared(tiny.spec.network) for n, s in p.tensors.items()}
    assert weight_shapes(tiny.spec) == wanted
