"""Assembly: from a protocol's settings to the objects that live through it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from neuro_aws import algorithms, rng, stimuli
from neuro_aws.algorithms import Algorithm
from neuro_aws.algorithms.updates import Plasticity, Updates
from neuro_aws.errors import NeuroAWSError
from neuro_aws.functional.activations import TRANSFERS
from neuro_aws.functional.compartments import Normalisation, Psi
from neuro_aws.functional.convolution import Geometry
from neuro_aws.functional.decay import Decay
from neuro_aws.functional.discriminator import Form, Weights
from neuro_aws.functional.optimisers import SGD, Adam, Optimiser
from neuro_aws.model.acetylcholine import Acetylcholine, born_weights
from neuro_aws.model.conv import ConvLayer
from neuro_aws.model.dense import DenseLayer
from neuro_aws.model.initialise import uniform_birth
from neuro_aws.model.layer import Layer
from neuro_aws.model.memory import Replay
from neuro_aws.model.network import Network
from neuro_aws.model.prior import LearntPrior
from neuro_aws.model.readout import Readout
from neuro_aws.phase import READOUT, Projection
from neuro_aws.protocol.model import AlgorithmSection, Learning, NetworkSection, ReadoutLearning
from neuro_aws.protocol.model import Decay as DecaySection
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.stimuli.dataset import Dataset


def dtype_of(section: NetworkSection) -> torch.dtype:
    """Return the precision the network computes in."""
    return torch.float64 if section.precision == "float64" else torch.float32


def device_of(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``; refuse one that is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise NeuroAWSError(
            "no CUDA device is available to torch",
            where="--device",
            next_step="Use --device cpu, or install a CUDA build of torch",
        )
    return torch.device(name)


def _generator(animal: int, stream: str, device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(rng.stream_key(animal, stream))


def build_network(
    section: NetworkSection, algorithm: AlgorithmSection, animal: int, device: torch.device
) -> Network:
    """Return the animal's network at birth."""
    dtype = dtype_of(section)
    generator = _generator(animal, rng.INITIAL, device)
    layers = _conv_layers if section.dcgan else _dense_layers
    made = layers(section, generator, dtype)
    shapes = [layer.shape_below() for layer in made] + [made[-1].shape_above()]
    sizes = [math.prod(shape) for shape in shapes]
    told = section.discriminator
    form = Form(
        told.slope,
        told.pooled,
        told.spread,
        told.noise,
        told.penalty,
        told.penalty_form,
        told.penalty_scope,
        section.products == "bfloat16",
    )

    def sub_discriminators(stream: str) -> Weights:
        return born_weights(sizes, told.hidden, _generator(animal, stream, device), dtype, form)

    returns = getattr(build_algorithm(algorithm, section), "return_path", False)
    ach = Acetylcholine(
        sub_discriminators(rng.INITIAL_ACH),
        form,
        told.baseline_rate,
        sub_discriminators(rng.RETURN_PATH) if returns else None,
        told.draws == "each",
    )
    readout = None
    if isinstance(read := algorithm.learning(READOUT), ReadoutLearning):
        born = _generator(animal, rng.INITIAL_READOUT, device)
        readout = Readout.born(sizes[-2], read.penalty, born, dtype)
    if section.birth == "uniform":
        uniform_birth(made, ach, readout, _generator(animal, rng.INITIAL_UNIFORM, device))
    return Network(
        made,
        ach,
        readout,
        sigma=section.noise.scale,
        density=section.noise.density,
        inverse_relu_scale=section.inverse_relu,
        gain_first=section.perturb_activity == "before_normalisation",
        bottom_noise=section.noise.bottom,
        inverse_relu_decay=_decay(section.inverse_relu_decay),
        replay=Replay(algorithm.replay, sizes[-1], dtype, device) if algorithm.replay else None,
        prior=_prior(section, sizes[-1], _generator(animal, rng.INITIAL_PRIOR, device), dtype),
    )


def _prior(
    section: NetworkSection, units: int, generator: torch.Generator, dtype: torch.dtype
) -> LearntPrior | None:
    if section.prior == "standard":
        return None
    return LearntPrior(section.prior_components, units, generator, dtype)


def _decay(section: DecaySection) -> Decay:
    return Decay(section.factor, section.every)


def _dense_layers(
    section: NetworkSection, generator: torch.Generator, dtype: torch.dtype
) -> Sequence[Layer]:
    sizes, psis = section.layers, _psis(section, axis=-1)
    return [
        DenseLayer.born(
            sizes[i],
            sizes[i + 1],
            psis[i].dreamt,
            psis[i + 1].recognised,
            generator,
            dtype,
            section.feedback_at_birth,
            psis[i].predicted,
        )
        for i in range(len(sizes) - 1)
    ]


def _conv_layers(
    section: NetworkSection, generator: torch.Generator, dtype: torch.dtype
) -> Sequence[Layer]:
    assert section.dcgan is not None
    sizes, psis, side = section.layers, _psis(section, axis=1), section.dcgan.side
    low = section.products == "bfloat16"
    layers = []
    for i in range(len(sizes) - 1):
        top = i + 2 == len(sizes)
        geometry = Geometry(side, 1, 0, low) if top else Geometry(4, 2, 1, low)
        layers.append(
            ConvLayer.born(
                sizes[i],
                sizes[i + 1],
                side,
                geometry,
                (psis[i].dreamt, psis[i + 1].recognised, psis[i].predicted),
                generator,
                dtype,
                section.feedback_at_birth,
                section.batch_norm,
                section.spectral,
                section.batch_norm_feedback and i > 0,
            )
        )
        side = side // 2
    return layers


class Psis(NamedTuple):
    """How one layer's units fire: driven from below, driven from above, and as predicted."""

    recognised: Psi
    dreamt: Psi
    predicted: Psi


def _psis(section: NetworkSection, axis: int) -> list[Psis]:
    surrogate, published = section.derivative == "surrogate", section.order == "published"

    def psis(transfer: str, normalisation: Normalisation) -> Psis:
        binary = section.units == "binary"
        psi = Psi(TRANSFERS[transfer], normalisation, False, surrogate, axis, binary)
        dreamt = replace(psi, normalise_first=published)
        bare = replace(psi, normalisation="none")
        return Psis(psi, dreamt, bare if section.prediction == "bare" else dreamt)

    top: Normalisation = section.normalisation if section.normalise_top else "none"
    inner = psis(section.transfer, section.normalisation)
    count = len(section.layers) - 2
    return [psis(section.bottom, "none"), *[inner] * count, psis(section.top, top)]


def build_algorithm(section: AlgorithmSection, network: NetworkSection) -> Algorithm:
    """Return the algorithm with its settings, for a network with its own."""
    return algorithms.build(section, network)


def _optimiser(section: Learning) -> Optimiser:
    if section.optimiser == "sgd":
        return SGD(section.rate)
    return Adam(section.rate, section.betas, section.epsilon)


def build_updates(section: AlgorithmSection, network: Network) -> Updates:
    """Return optimisers with fresh moments for every projection."""
    plasticity: dict[Projection, Plasticity] = {}
    for projection in network.projections:
        learning = section.learning(projection)
        if learning is None:
            continue
        optimiser = _optimiser(learning)
        moments = optimiser.start(network.flat(projection))
        plasticity[projection] = Plasticity(
            optimiser, moments, learning.apply, clip=learning.clip, decay=_decay(learning.decay)
        )
    return Updates(plasticity)


def load_dataset(spec: ProtocolSpec, animal: int, device: torch.device) -> Dataset:
    """Return the stimuli of the animal's dataset on the device."""
    dataset = stimuli.load(spec.stimulus, animal, dtype_of(spec.network))
    if spec.network.dcgan is None and dataset.train.shape[1] != spec.network.layers[0]:
        raise NeuroAWSError(
            f"stimuli have {dataset.train.shape[1]} pixels, layer 0 {spec.network.layers[0]} units",
            where="network.layers",
        )

    def there(tensor: torch.Tensor | None) -> torch.Tensor | None:
        return None if tensor is None else tensor.to(device)

    return replace(
        dataset,
        train=dataset.train.to(device),
        train_labels=there(dataset.train_labels),
        held_out=dataset.held_out.to(device),
        held_out_labels=there(dataset.held_out_labels),
    )


@dataclass
class Animal:
    """What lives: a network, how it learns, and what it can see."""

    network: Network
    algorithm: Algorithm
    updates: Updates
    dataset: Dataset


def build_animal(spec: ProtocolSpec, animal: int, device: torch.device) -> Animal:
    """Return one animal at birth."""
    network = build_network(spec.network, spec.algorithm, animal, device)
    return Animal(
        network,
        build_algorithm(spec.algorithm, spec.network),
        build_updates(spec.algorithm, network),
        load_dataset(spec, animal, device),
    )
