"""Assembly: from a protocol's settings to the objects that live through it."""

from dataclasses import dataclass, replace

import torch

from neuro_aws.algorithms import Algorithm, algorithm_class
from neuro_aws.errors import NeuroAWSError
from neuro_aws.functional.activations import TRANSFERS
from neuro_aws.functional.compartments import Psi
from neuro_aws.functional.optimisers import SGD, Adam, Optimiser
from neuro_aws.layers.dense import DenseLayer
from neuro_aws.network import Network
from neuro_aws.neuromodulators.acetylcholine import Acetylcholine, born_weights
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, Projection
from neuro_aws.protocol.model import AlgorithmSection, Learning, NetworkSection
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.seeding import stream_key
from neuro_aws.stimuli import SOURCES, World
from neuro_aws.updates import Plasticity, Updates


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
    return torch.Generator(device).manual_seed(stream_key(animal, stream))


def build_network(
    section: NetworkSection, algorithm: AlgorithmSection, animal: int, device: torch.device
) -> Network:
    """Return the animal's network at birth."""
    dtype = dtype_of(section)
    psis = _psis(section)
    generator = _generator(animal, "birth", device)
    sizes = list(section.layers)
    layers = [
        DenseLayer.born(
            sizes[i],
            sizes[i + 1],
            replace(psis[i], normalise_first=section.order == "published"),
            psis[i + 1],
            generator,
            dtype,
            section.feedback_at_birth,
        )
        for i in range(len(sizes) - 1)
    ]
    hidden = section.discriminator.hidden
    weights = born_weights(sizes, hidden, _generator(animal, "birth/ach", device), dtype)
    return_path = None
    if algorithm.credit == "layer_random":
        return_path = born_weights(sizes, hidden, _generator(animal, "return_path", device), dtype)
    ach = Acetylcholine(
        weights, section.discriminator.penalty, section.discriminator.baseline_rate, return_path
    )
    return Network(
        layers,
        ach,
        sigma=section.noise.scale,
        density=section.noise.density,
        inverse_relu_scale=section.inverse_relu,
        gain_first=section.perturb_activity == "before_normalisation",
    )


def _psis(section: NetworkSection) -> list[Psi]:
    surrogate = section.derivative == "surrogate"
    inner = Psi(TRANSFERS[section.transfer], section.normalisation, surrogate=surrogate)
    bottom = Psi(TRANSFERS[section.bottom], surrogate=surrogate)
    top = Psi(TRANSFERS[section.top], surrogate=surrogate)
    return [bottom, *[inner] * (len(section.layers) - 2), top]


def build_algorithm(section: AlgorithmSection) -> Algorithm:
    """Return the algorithm with its settings."""
    kind = algorithm_class(section.name)
    if section.name == "adversarial_wake_sleep":
        options = {
            "credit": section.credit,
            "density": section.density,
            "kl": section.kl,
            "running_baseline": section.baseline == "running",
        }
    elif ":" in section.name:
        options = dict(section.options)
    else:
        options = {"density": section.density}
    try:
        algorithm: Algorithm = kind(**options)
    except TypeError as error:
        raise NeuroAWSError(
            f"{section.name} does not take these options ({error})", where="algorithm.options"
        ) from error
    missing = [
        name for name in ("propagate", "deltas") if not callable(getattr(algorithm, name, 0))
    ]
    if missing:
        raise NeuroAWSError(
            f"{section.name} has no method {missing[0]}()",
            where="algorithm.name",
            next_step="neuro_aws.algorithms.Algorithm says what an algorithm needs",
        )
    return algorithm


def _optimiser(section: Learning) -> Optimiser:
    if section.optimiser == "sgd":
        return SGD(section.rate)
    return Adam(section.rate, section.betas, section.epsilon)


def build_updates(section: AlgorithmSection, network: Network) -> Updates:
    """Return optimisers with fresh moments for every projection."""
    plasticity: dict[Projection, Plasticity] = {}
    for projection, learning in (
        (FEEDFORWARD, section.feedforward),
        (FEEDBACK, section.feedback),
        (DISCRIMINATOR, section.discriminator),
    ):
        optimiser = _optimiser(learning)
        moments = optimiser.start(network.flat(projection))
        plasticity[projection] = Plasticity(optimiser, moments, learning.apply)
    return Updates(plasticity)


def build_world(spec: ProtocolSpec, animal: int, device: torch.device) -> World:
    """Return the stimuli of the animal's world on the device."""
    world = SOURCES[spec.stimulus.source](spec.stimulus, animal, dtype_of(spec.network))
    if world.life.shape[1] != spec.network.layers[0]:
        raise NeuroAWSError(
            f"stimuli have {world.life.shape[1]} pixels, layer 0 {spec.network.layers[0]} units",
            where="network.layers",
        )

    def there(tensor: torch.Tensor | None) -> torch.Tensor | None:
        return None if tensor is None else tensor.to(device)

    return World(
        world.life.to(device),
        there(world.life_labels),
        world.held_out.to(device),
        there(world.held_out_labels),
        world.shape,
        world.eyes,
    )


@dataclass
class Animal:
    """What lives: a network, how it learns, and what it can see."""

    network: Network
    algorithm: Algorithm
    updates: Updates
    world: World


def build_animal(spec: ProtocolSpec, animal: int, device: torch.device) -> Animal:
    """Return one animal at birth."""
    network = build_network(spec.network, spec.algorithm, animal, device)
    return Animal(
        network,
        build_algorithm(spec.algorithm),
        build_updates(spec.algorithm, network),
        build_world(spec, animal, device),
    )
