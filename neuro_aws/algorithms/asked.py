"""What an algorithm is asked beside its two methods, and what is done where it does not answer.

A theory that relaxes, samples or remembers says here how it is measured, and what it keeps:

    recognise(network, stimuli, noise, gains, running)   the state that stimuli lead to
    dream(network, count, noise, gains)                  so many dreams
    objective(network, stimuli, noise)                   what it descends, mean over stimuli
    initialise(network)                                  changes initial weights, in place
    shown(dataset)                                       what stimuli there are, before any is seen
    memory                                               tensors by name: its state between steps
    track(network, state)                                brings ``memory`` up to date after a step

Any of them may be left out. ``memory`` changes in ``track`` only (``propagate`` and ``deltas``
change nothing); it is saved with every checkpoint and taken up again.
"""

from collections.abc import MutableMapping

from torch import Tensor

from neuro_aws.algorithms.base import Algorithm
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.model.network import NO_GAINS, Gains, Network
from neuro_aws.model.state import NetworkState
from neuro_aws.stimuli.dataset import Dataset

Memory = MutableMapping[str, Tensor]
"""What an algorithm keeps between steps, by name."""


def recognise(
    algorithm: Algorithm | None,
    network: Network,
    stimuli: Tensor,
    noise: NoiseSource | None,
    gains: Gains = NO_GAINS,
    running: bool = False,
) -> NetworkState:
    """Return the state that stimuli lead to when nothing is learnt: one pass up, by default."""
    own = getattr(algorithm, "recognise", None)
    if own is None:
        return network.recognise(stimuli, noise, gains, running)
    state: NetworkState = own(network, stimuli, noise, gains, running)
    return state


def dream(
    algorithm: Algorithm | None,
    network: Network,
    count: int,
    noise: NoiseSource,
    gains: Gains = NO_GAINS,
) -> NetworkState:
    """Return so many dreams: one pass down from draws of the prior, by default."""
    own = getattr(algorithm, "dream", None)
    if own is None:
        return network.dream(network.prior(count, noise), noise, gains)
    state: NetworkState = own(network, count, noise, gains)
    return state


def objective(
    algorithm: Algorithm | None, network: Network, stimuli: Tensor, noise: NoiseSource
) -> float | None:
    """Return what the algorithm descends, mean over stimuli; None where it does not say."""
    own = getattr(algorithm, "objective", None)
    return None if own is None else float(own(network, stimuli, noise))


def initialise_by(algorithm: Algorithm, network: Network) -> None:
    """Let an algorithm change initial weights (tie two of them, say)."""
    own = getattr(algorithm, "initialise", None)
    if own is not None:
        own(network)


def shown_to(algorithm: Algorithm, dataset: Dataset) -> None:
    """Let an algorithm know its stimuli (how high and wide they are, say)."""
    own = getattr(algorithm, "shown", None)
    if own is not None:
        own(dataset)


def memory_of(algorithm: Algorithm) -> Memory:
    """Return what an algorithm keeps between steps; empty where it keeps nothing."""
    kept: Memory = getattr(algorithm, "memory", {})
    return kept


def track(algorithm: Algorithm, network: Network, state: NetworkState) -> None:
    """Let an algorithm take up into its memory what a step leaves behind."""
    own = getattr(algorithm, "track", None)
    if own is not None:
        own(network, state)
