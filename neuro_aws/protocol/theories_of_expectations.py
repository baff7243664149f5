"""Settings of the theory whose units carry the expectations of many functions."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from neuro_aws.phase import FEEDBACK, FEEDFORWARD, LATERAL, READOUT
from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.model import (
    Decay,
    FeedforwardLearning,
    Learning,
    NetworkSection,
)
from neuro_aws.protocol.projections import Projection, Shape
from neuro_aws.protocol.theories_base import LearnsInference, no_choice

PRIOR = f"{FEEDBACK}_prior"
"""theta_N, of the top layer's own density."""

SETTLING = Decay(factor=0.5, every=400, least=0.05)
"""How the rates of what sleep teaches fall: averages over ever more dreams."""


class CodeForward(FeedforwardLearning):
    """Learning of recognition in sleep: F, and the code beside it."""

    rate: float = Field(0.1, gt=0, le=10)
    optimiser: Literal["adam", "sgd"] = "sgd"
    decay: Decay = SETTLING


class CodeReadout(Learning):
    """Learning of the linear read-outs alpha and beta in sleep."""

    rate: float = Field(0.1, gt=0, le=10)
    optimiser: Literal["adam", "sgd"] = "sgd"
    decay: Decay = SETTLING


class DdcHelmholtz(LearnsInference):
    """The DDC Helmholtz machine: recognition by expectations of many fixed random functions."""

    name: Literal["ddc_helmholtz"]
    functions: int = Field(100, ge=1, le=100_000)
    """Code functions of each layer above the stimulus."""
    expansion: int = Field(200, ge=1, le=100_000)
    """Fixed random functions of the stimulus, which recognition reads."""
    gain: float = Field(1.0, gt=0, le=100)
    """s: how strongly layers drive the functions of their code."""
    causes: Literal["gaussian", "laplacian"] = "gaussian"
    """Density of the top layer, where units fire rates; laplacian: sparse causes."""
    decorrelated: bool = True
    """Delta rules in sleep read the code decorrelated by its own second moments."""
    forgetting: float = Field(0.01, ge=0, le=1)
    """Least weight of a REM step in those moments; before, step t has a weight of 2 / (t + 1)."""
    feedforward: CodeForward = CodeForward()
    readout: CodeReadout = CodeReadout()
    """Of alpha and beta."""

    def projections(self, network: NetworkSection) -> tuple[Projection, ...]:
        """Return the code's fixed functions, its recognition weights, its read-outs, and theta_N.

        LATERAL: within a layer, from its units to the functions of its code, which learn nothing.
        """
        sizes, top, found = network.layers, len(network.layers) - 1, []
        counts = self.counts(network)
        for i, (n, count) in enumerate(zip(sizes, counts, strict=True)):
            name = functions_tensor(i)
            found.append(Projection(name, LATERAL, None, None, {name: (count, n + 1)}))
        for i in range(1, top + 1):
            below = sizes[i - 1] + counts[i - 1] + 1
            code, units = code_tensors(i)
            shapes: dict[str, Shape] = {code: (counts[i], below), units: (sizes[i], counts[i - 1])}
            found.append(Projection(code, FEEDFORWARD, i - 1, i, shapes))
        readouts: dict[str, Shape] = {
            name: (targets, sizes[i] + counts[i] + 1)
            for i in range(1, top + 1)
            for name, targets in self._readouts(network, i)
        }
        found.append(Projection("expectations", READOUT, None, None, readouts))
        found.append(Projection(PRIOR, FEEDBACK, None, None, {PRIOR: (sizes[top],)}))
        return tuple(found)

    def counts(self, network: NetworkSection) -> list[int]:
        """Return how many functions the code of each layer has."""
        return [self.expansion] + [self.functions] * (len(network.layers) - 1)

    def _readouts(self, network: NetworkSection, i: int) -> Iterator[tuple[str, int]]:
        """Yield the read-outs of a layer's code, and of how many expectations each is."""
        sizes, n = network.layers, network.layers[i]
        if i < len(sizes) - 1:
            yield alpha(i), n * (sizes[i + 1] + 1)
        elif self.sparse(network):
            yield alpha(i), n
        yield beta(i), sizes[i - 1] * (n + 1) if network.units == "binary" else n * (n + 1) // 2

    def sparse(self, network: NetworkSection) -> bool:
        """Say whether the top layer has a Laplace density."""
        return self.causes == "laplacian" and network.units == "rate"

    def misfits(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        """Yield what is no exponential family of this theory's of a network."""
        name, binary = self.name, network.units == "binary"
        if network.dcgan is not None:
            yield ("network", "dcgan"), f"{name} has dense layers; leave it out"
        if network.homeostasis.over != "none":
            yield ("network", "homeostasis", "over"), f"{name} has drives as they are; use none"
        if network.prior != "standard":
            message = f"{name} learns its own prior, one parameter a top unit; use standard"
            yield ("network", "prior"), message
        if network.lateral:
            yield ("network", "lateral"), f"{name}'s generative model has no lateral weights"
        if network.inverse_relu:
            yield ("network", "inverse_relu"), f"{name} has posterior means in wake; use 0"
        if network.normalise_top:
            yield ("network", "normalise_top"), f"{name} has independent top units; use false"
        if binary and self.causes != "gaussian":
            yield ("algorithm", "causes"), f"{name} has Bernoulli causes of binary units; leave it"
        if not binary:
            yield from self._not_gaussian(network)
        if network.memory is not None:
            yield ("network", "memory"), f"{name} dreams from a prior of its own; leave it out"
        yield from no_choice(self)

    def _not_gaussian(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        for key in ("bottom", "top"):
            if getattr(network, key) != "linear":
                message = f"{self.name}'s dreams are Gaussian there; use linear (or binary units)"
                yield ("network", key), message
        if network.noise.scale == 0 or not network.noise.bottom:
            message = f"{self.name} has Gaussian dreams; give noise.scale above 0 and bottom: true"
            yield ("network", "noise", "bottom" if network.noise.scale else "scale"), message
        if network.noise.density != "gaussian":
            yield ("network", "noise", "density"), f"{self.name} has Gaussian dreams; use gaussian"
        if network.order != "transfer_first":
            message = f"{self.name} has its noise on the potentials; use transfer_first"
            yield ("network", "order"), message


def functions_tensor(layer: int) -> str:
    """Return the name of the fixed functions of a layer's code."""
    return f"code_of{layer}"


def code_tensors(layer: int) -> tuple[str, str]:
    """Return the names of the weights into a layer's code, and from the code below to its units."""
    return f"{FEEDFORWARD}_code_into{layer}", f"{FEEDFORWARD}_from_code_into{layer}"


def alpha(layer: int) -> str:
    """Return the name of a layer's read-out of what climbs: S_l times the gradient of g_l."""
    return f"{READOUT}_alpha{layer}"


def beta(layer: int) -> str:
    """Return the name of a layer's read-out of what the layer below is predicted to be."""
    return f"{READOUT}_beta{layer}"
