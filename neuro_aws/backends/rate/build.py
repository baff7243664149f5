"""Assembly: from a protocol's settings to a network, an algorithm and its updates."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from neuro_aws import algorithms, rng, stimuli
from neuro_aws.algorithms import Algorithm
from neuro_aws.algorithms.asked import initialise_by, shown_to
from neuro_aws.algorithms.updates import Plasticity, Thresholds, Updates
from neuro_aws.errors import NeuroAWSError, clipped
from neuro_aws.functional.decay import Decay
from neuro_aws.functional.discriminator import Weights
from neuro_aws.functional.optimisers import SGD, Adam, Optimiser
from neuro_aws.model import initialise
from neuro_aws.model.acetylcholine import Acetylcholine
from neuro_aws.model.assembly import layers_of
from neuro_aws.model.homeostasis import Adaptation
from neuro_aws.model.initialise import Normal
from neuro_aws.model.lateral import Lateral
from neuro_aws.model.memory import Memory
from neuro_aws.model.network import Network
from neuro_aws.model.prior import LearntPrior
from neuro_aws.model.readout import Readout
from neuro_aws.model.recurrent import RecurrentNetwork
from neuro_aws.model.sequence_critic import SequenceCritic
from neuro_aws.phase import DISCRIMINATOR, READOUT
from neuro_aws.protocol.model import (
    AlgorithmSection,
    FeedforwardLearning,
    Learning,
    NetworkSection,
    ReadoutLearning,
)
from neuro_aws.protocol.model import Decay as DecaySection
from neuro_aws.protocol.projections import declared, units
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.stimuli.dataset import Dataset

THRESHOLDS = ("_bias", "_shift")
"""How the names of F's thresholds end."""


def dtype_of(section: NetworkSection) -> torch.dtype:
    """Return the precision the network computes in."""
    return torch.float64 if section.precision == "float64" else torch.float32


def device_of(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu``, ``cuda`` or ``cuda:1``; refuse what is not there."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", name):
        raise NeuroAWSError(
            f"no device {clipped(name)!r}", where="--device", next_step="cpu, cuda or auto"
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise NeuroAWSError(
            "no CUDA device is available to torch",
            where="--device",
            next_step="Use --device cpu, or install a CUDA build of torch",
        )
    device = torch.device(name)
    if (device.index or 0) >= max(torch.cuda.device_count(), 1):
        raise NeuroAWSError(f"there is no {name}", where="--device", next_step="Give cuda or cpu")
    return device


def build_network(
    section: NetworkSection, algorithm: AlgorithmSection, animal: int, device: torch.device
) -> Network:
    """Return the animal's network with its initial weights."""
    dtype = dtype_of(section)

    def stream(name: str) -> torch.Generator:
        return torch.Generator(device).manual_seed(rng.stream_key(animal, name))

    if section.recurrent is not None:
        return _recurrent(section, algorithm, stream, dtype)
    adaptation = Adaptation()
    layers = layers_of(section, Normal(stream(rng.INITIAL), dtype), adaptation)
    sizes = units(section)

    def discriminator(name: str) -> Weights:
        return initialise.discriminator(section, sizes, Normal(stream(name), dtype))

    returns = getattr(build_algorithm(algorithm, section), "return_path", False)
    ach = Acetylcholine(
        section,
        discriminator(rng.INITIAL_ACH),
        discriminator(rng.RETURN_PATH) if returns else None,
    )
    readout = None
    if isinstance(learning := algorithm.learning(READOUT), ReadoutLearning):
        weights = initialise.readout(sizes[-2], Normal(stream(rng.INITIAL_READOUT), dtype))
        readout = Readout(*weights, learning.penalty)
    lateral = Lateral(initialise.lateral(section, Normal(stream(rng.INITIAL_LATERAL), dtype)))
    if section.birth == "uniform":
        initialise.uniform(layers, ach, readout, stream(rng.INITIAL_UNIFORM))
        initialise.uniform_lateral(lateral, stream(rng.INITIAL_LATERAL))
    prior = None
    if section.prior == "learnt":
        prior = LearntPrior(section.prior_components, sizes[-1], stream(rng.INITIAL_PRIOR), dtype)
    memory = None
    if section.memory is not None:
        memory = Memory(section.memory, sizes[-1], section.units == "binary", dtype, device)
    extra = algorithm.projections(section)
    more = initialise.extra(extra, Normal(stream(rng.INITIAL_EXTRA), dtype))
    return Network(section, layers, ach, readout, lateral, prior, memory, adaptation, extra, more)


def _recurrent(
    section: NetworkSection,
    algorithm: AlgorithmSection,
    stream: Callable[[str], torch.Generator],
    dtype: torch.dtype,
) -> Network:
    """Return a recurrent network, whose D hears sequences."""
    layers = layers_of(section, Normal(stream(rng.INITIAL), dtype), Adaptation())
    (shapes,) = (p.tensors for p in declared(section) if p.kind == DISCRIMINATOR)
    draw = Normal(stream(rng.INITIAL_ACH), dtype)
    tensors = initialise.sequence_discriminator(shapes, draw)
    ach = SequenceCritic(section, tensors, algorithm.taught_in)
    extra = algorithm.projections(section)
    more = initialise.extra(extra, Normal(stream(rng.INITIAL_EXTRA), dtype))
    return RecurrentNetwork(section, layers, ach, extra=extra, extra_weights=more)


def build_algorithm(section: AlgorithmSection, network: NetworkSection) -> Algorithm:
    """Return the algorithm with its settings, for a network with its own."""
    return algorithms.build(section, network)


def _optimiser(section: Learning) -> Optimiser:
    if section.optimiser == "sgd":
        return SGD(section.rate)
    return Adam(section.rate, section.betas, section.epsilon)


def _decay(section: DecaySection) -> Decay:
    return Decay(section.factor, section.every, section.least)


def build_updates(section: AlgorithmSection, network: Network) -> Updates:
    """Return optimisers with fresh moments for every kind that has settings to learn with."""
    plasticity: dict[str, Plasticity] = {}
    for kind in network.kinds:
        learning = section.learning(kind)
        if learning is None:
            continue
        optimiser = _optimiser(learning)
        plasticity[kind] = Plasticity(
            tuple(network.parameters(kind)),
            optimiser,
            optimiser.start(network.flat(kind)),
            learning.apply,
            clip=learning.clip,
            decay=_decay(learning.decay),
            thresholds=_thresholds(learning, network, kind),
        )
    return Updates(plasticity)


def _thresholds(learning: Learning, network: Network, kind: str) -> Thresholds | None:
    """Return which entries of F's vector are thresholds, where they differ from the weights."""
    if not isinstance(learning, FeedforwardLearning):
        return None
    own_rate = learning.threshold_rate is not None
    if not own_rate and all(layer.homeostats.soma is None for layer in network.layers):
        return None
    parts = [
        torch.full_like(tensor, name.endswith(THRESHOLDS), dtype=torch.bool).reshape(-1)
        for name, tensor in network.parameters(kind).items()
    ]
    rate = learning.threshold_rate / learning.rate if learning.threshold_rate is not None else 1.0
    return Thresholds(torch.cat(parts), rate)


def load_dataset(spec: ProtocolSpec, animal: int, device: torch.device) -> Dataset:
    """Return the stimuli of the animal's dataset on the device."""
    dataset = stimuli.load(spec.stimulus, animal, dtype_of(spec.network))
    wanted = units(spec.network)[0]
    if spec.network.dcgan is None and dataset.train.shape[1] != wanted:
        raise NeuroAWSError(
            f"stimuli have {dataset.train.shape[1]} pixels, layer 0 {wanted} units",
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
    """A network, how it learns, and what it can see."""

    network: Network
    algorithm: Algorithm
    updates: Updates
    dataset: Dataset


def build_animal(
    spec: ProtocolSpec, animal: int, device: torch.device, dataset: Dataset | None = None
) -> Animal:
    """Return one animal with initial weights; its stimuli are the protocol's, or those given."""
    network = build_network(spec.network, spec.algorithm, animal, device)
    algorithm = build_algorithm(spec.algorithm, spec.network)
    initialise_by(algorithm, network)
    seen = load_dataset(spec, animal, device) if dataset is None else dataset
    shown_to(algorithm, seen)
    return Animal(network, algorithm, build_updates(spec.algorithm, network), seen)
