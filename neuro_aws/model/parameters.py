"""The weights of a network: declared, by name, and in one vector for each kind of projection."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from neuro_aws.model.acetylcholine import Acetylcholine
from neuro_aws.model.gated import GatedLayer
from neuro_aws.model.lateral import Lateral
from neuro_aws.model.layer import Layer
from neuro_aws.model.readout import Readout
from neuro_aws.model.state import Changes, Tensors
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, LATERAL
from neuro_aws.protocol.projections import Projection, kinds


class Parameters:
    """The tensors of all projections; the parts of the network compute with views of them.

    The weights of a kind lie end to end in one vector, so that an optimiser makes one call. How
    they lie there is known to this class only: all other code goes by name.
    """

    def __init__(
        self,
        projections: Sequence[Projection],
        layers: Sequence[Layer],
        lateral: Lateral,
        acetylcholine: Acetylcholine,
        readout: Readout | None,
        extra: Tensors | None = None,
    ) -> None:
        """``extra``: the weights of projections that no part of the network computes with."""
        self.projections = tuple(projections)
        self.kinds = kinds(self.projections)
        self._layers = layers
        self._lateral = lateral
        self._acetylcholine = acetylcholine
        self._readout = readout
        self._extra = extra or {}
        self._tensors: dict[str, dict[str, Tensor]] = {}
        self._vectors = {kind: self._gather(kind) for kind in self.kinds}

    def of(self, kind: str) -> Tensors:
        """Return the weights of a kind by name, the projections from the bottom up."""
        return self._tensors.get(kind, {})

    def vector(self, kind: str) -> Tensor:
        """Return the weights of a kind as one vector, of which the tensors are views."""
        return self._vectors[kind]

    def named(self, kind: str, vector: Tensor) -> dict[str, Tensor]:
        """Return the parts of a vector that is laid out as ``vector(kind)`` is, by name."""
        like = self._tensors[kind]
        pieces = torch.split(vector, [tensor.numel() for tensor in like.values()])
        pairs = zip(like.items(), pieces, strict=True)
        return {name: piece.view_as(tensor) for (name, tensor), piece in pairs}

    def put(self, kind: str, tensors: Mapping[str, Tensor]) -> None:
        """Let the network compute with other tensors, of the same names and shapes."""
        self._tensors[kind] = {name: tensors[name] for name in self._tensors[kind]}
        for projection in self.projections:
            if projection.kind == kind and not self._apart(projection):
                self._use(projection, [tensors[name] for name in projection.tensors])

    def apply(self, changes: Changes) -> None:
        """Add changes to the weights, in place."""
        for kind, change in changes.items():
            self._vectors[kind].add_(change)

    def _gather(self, kind: str) -> Tensor:
        """Lay the weights of a kind end to end in memory, and give the parts views of them."""
        own: dict[str, Tensor] = {}
        for projection in self.projections:
            if projection.kind == kind:
                own |= self._own(projection)
        self._tensors[kind] = own
        vector = torch.cat([tensor.reshape(-1) for tensor in own.values()])
        self.put(kind, self.named(kind, vector))
        return vector

    def _own(self, projection: Projection) -> Tensors:
        """Return the tensors that a part of the network was built with, as they are declared."""
        found: Tensors
        if self._apart(projection):
            found = {name: self._extra[name] for name in projection.tensors}
        elif projection.kind == DISCRIMINATOR:
            found = self._acetylcholine.weights.tensors
        else:
            found = dict(zip(projection.tensors, self._parts(projection), strict=True))
        shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
        if shapes != dict(projection.tensors):
            raise ValueError(f"{projection.name} declares {projection.tensors}, not {shapes}")
        return found

    def _apart(self, projection: Projection) -> bool:
        """Say whether a projection is one that only its theory computes with."""
        return any(name in self._extra for name in projection.tensors)

    def _parts(self, projection: Projection) -> Sequence[Tensor]:
        """Return a part's tensors in the order in which its projection declares them."""
        if projection.kind == FEEDFORWARD:
            assert projection.source is not None
            return self._layers[projection.source].feedforward
        if projection.kind == FEEDBACK:
            assert projection.target is not None
            return self._layers[projection.target].feedback
        if projection.kind == LATERAL:
            assert projection.target is not None
            gated = self._gated(projection.target)
            return [self._lateral.weights[projection.target]] if gated is None else gated.lateral
        assert self._readout is not None
        return [self._readout.weight, self._readout.bias]

    def _gated(self, target: int) -> GatedLayer | None:
        """Return the layer below ``target`` if its units are gated: they have lateral weights."""
        layer = self._layers[target - 1]
        return layer if isinstance(layer, GatedLayer) else None

    def _use(self, projection: Projection, tensors: list[Tensor]) -> None:
        if projection.kind == DISCRIMINATOR:
            weights = self._acetylcholine.weights
            named = dict(zip(projection.tensors, tensors, strict=True))
            self._acetylcholine.weights = weights.like(named)
        elif projection.kind == FEEDFORWARD:
            assert projection.source is not None
            self._layers[projection.source].feedforward = tensors
        elif projection.kind == FEEDBACK:
            assert projection.target is not None
            self._layers[projection.target].feedback = tensors
        elif projection.kind == LATERAL:
            assert projection.target is not None
            gated = self._gated(projection.target)
            if gated is None:
                (self._lateral.weights[projection.target],) = tensors
            else:
                gated.lateral = tensors
        else:
            assert self._readout is not None
            self._readout.weight, self._readout.bias = tensors
