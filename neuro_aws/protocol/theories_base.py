"""What the settings of several theories share."""

from collections.abc import Iterator

from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.model import (
    AlgorithmSection,
    DiscriminatorLearning,
    FeedbackLearning,
    FeedforwardLearning,
    NetworkSection,
)


class LearnsFeedback(AlgorithmSection):
    """Feedback learns, and D."""

    feedback: FeedbackLearning = FeedbackLearning()
    discriminator: DiscriminatorLearning = DiscriminatorLearning()


class LearnsInference(LearnsFeedback):
    """Feedforward connections learn too."""

    feedforward: FeedforwardLearning = FeedforwardLearning()


def no_choice(section: AlgorithmSection) -> Iterator[tuple[KeyPath, str]]:
    """Yield settings of the prediction rules that a theory without them has no use for."""
    for key, only in (("density", "gaussian"), ("reduction", "sum")):
        if getattr(section, key) != only:
            yield ("algorithm", key), f"{section.name} has no such choice; use {only}"


def reads_below_the_top(name: str, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
    """Yield what a discriminator on h_{N-1} that autograd differentiates cannot do."""
    if network.units == "binary":
        yield ("network", "units"), f"{name} differentiates its units; use rate units"
    if len(network.layers) < 3:
        yield ("network", "layers"), f"{name} reads the layer below the top; give three"
