"""One file a theory, none inherits another; ``build`` makes the one that a protocol names."""

from neuro_aws.algorithms.base import Algorithm
from neuro_aws.protocol.model import AlgorithmSection, NetworkSection
from neuro_aws.protocol.own_code import called
from neuro_aws.protocol.theories import THEORIES, OwnAlgorithm


def build(section: AlgorithmSection, network: NetworkSection) -> Algorithm:
    """Return the algorithm of a section, for a network with its own settings."""
    algorithm: Algorithm
    if isinstance(section, OwnAlgorithm):
        algorithm = called(section.loaded(), section.options)
    else:
        algorithm = THEORIES[section.name].load()(section, network)
    return algorithm


__all__ = ["Algorithm", "build"]
