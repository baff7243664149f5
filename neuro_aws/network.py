"""Layers and neuromodulators wired together. Applies changes; knows no learning rule."""

from collections.abc import Mapping

import torch
from torch import Tensor

from neuro_aws.functional.activations import inverse_relu
from neuro_aws.functional.compartments import Fired, Psi, fire
from neuro_aws.functional.discriminator import Weights
from neuro_aws.functional.noise import NoiseSource, unit_noise
from neuro_aws.functional.plasticity import Density
from neuro_aws.layers.dense import DenseLayer
from neuro_aws.neuromodulators.acetylcholine import Acetylcholine
from neuro_aws.phase import DISCRIMINATOR, FEEDFORWARD, Phase, Projection
from neuro_aws.state import Changes, LayerState, NetworkState

Gains = Mapping[int, Tensor]
"""Factors on the somatic rates of a layer, by layer: what silencing and activation come down to."""

NO_GAINS: Gains = {}


class Network:
    """h_0 ... h_N, the connections between neighbours, and acetylcholine.

    ``sigma`` is the standard deviation of the noise on every driven compartment, ``density`` its
    shape; ``inverse_relu_scale`` the stochastic inverse ReLU's (0: off); ``gain_first`` puts a
    perturbation's gain before the normalisation instead of after it.
    """

    def __init__(
        self,
        layers: list[DenseLayer],
        acetylcholine: Acetylcholine,
        *,
        sigma: float,
        density: Density = "gaussian",
        inverse_relu_scale: float = 0.0,
        gain_first: bool = False,
    ) -> None:
        self.layers = layers
        self.acetylcholine = acetylcholine
        self._flat = {projection: self._gather(projection) for projection in Projection}
        self.sigma = sigma
        self.density: Density = density
        self.inverse_relu_scale = inverse_relu_scale
        self.gain_first = gain_first

    @property
    def depth(self) -> int:
        """Return N, the index of the top layer."""
        return len(self.layers)

    @property
    def sizes(self) -> list[int]:
        """Return the number of units of h_0 ... h_N."""
        return [layer.feedback[0].shape[-2] for layer in self.layers] + [
            self.layers[-1].feedforward[0].shape[-2]
        ]

    @property
    def top_units(self) -> int:
        """Return the number of units of h_N."""
        return self.layers[-1].feedforward[0].shape[-2]

    def parameters(self, projection: Projection) -> list[Tensor]:
        """Return the weights of one projection, from the bottom up, in a fixed order."""
        if projection is DISCRIMINATOR:
            return self.acetylcholine.parameters
        if projection is FEEDFORWARD:
            return [tensor for layer in self.layers for tensor in layer.feedforward]
        return [tensor for layer in self.layers for tensor in layer.feedback]

    def recognise(
        self, stimulus: Tensor, noise: NoiseSource | None, gains: Gains = NO_GAINS
    ) -> NetworkState:
        """Wake: h_0 = x, h_{i+1} = psi(F_i h_i + sigma xi); ``noise`` None leaves xi out."""
        seen = gains.get(0)
        if seen is not None:
            stimulus = stimulus * seen
        states = [LayerState(stimulus, stimulus, gain=seen)]
        for i, layer in enumerate(self.layers):
            potential = layer.feedforward_potential(states[-1].transmitted)
            state = self._fire(layer.psi_above, potential, noise, gains.get(i + 1))
            if self.inverse_relu_scale and noise is not None and i + 1 < self.depth:
                uniform = noise.uniform(state.soma.shape)
                carried = inverse_relu(state.soma, uniform, self.inverse_relu_scale)
                if i + 1 in gains:
                    carried = torch.where(gains[i + 1] == 0, 0.0, carried)
                state = LayerState(state.soma, carried, state.drive, state.xi, state.gain)
            states.append(state)
        return NetworkState(Phase.WAKE, tuple(states))

    def dream(
        self, top: Tensor, noise: NoiseSource | None, gains: Gains = NO_GAINS
    ) -> NetworkState:
        """REM: h_N as given, h_i = psi(G_i h_{i+1} + sigma xi) downwards."""
        gain = gains.get(self.depth)
        soma = top if gain is None else top * gain
        states = [LayerState(soma, soma, gain=gain)]
        for i in range(self.depth - 1, -1, -1):
            layer = self.layers[i]
            potential = layer.feedback_potential(states[-1].soma)
            states.append(self._fire(layer.psi_below, potential, noise, gains.get(i)))
        return NetworkState(Phase.REM, tuple(reversed(states)))

    def with_dendrites(self, state: NetworkState) -> NetworkState:
        """Return the state with d_i = psi(G_i h_{i+1}), the prediction that feedback makes."""
        layers = list(state.layers)
        for i, layer in enumerate(self.layers):
            s = layers[i]
            dendrite = layer.predict(layers[i + 1].soma)
            layers[i] = LayerState(s.soma, s.transmitted, s.drive, s.xi, s.gain, dendrite)
        return NetworkState(state.phase, tuple(layers))

    def apply(self, changes: Changes) -> None:
        """Add the changes to the weights, in place."""
        for projection, change in changes.items():
            self._flat[projection].add_(change)

    def flat(self, projection: Projection) -> Tensor:
        """Return the weights of one projection as one vector; ``parameters`` are views of it."""
        return self._flat[projection]

    def _gather(self, projection: Projection) -> Tensor:
        """Lay the weights of a projection end to end in memory, and give the layers views."""
        parts = self.parameters(projection)
        vector = torch.cat([part.reshape(-1) for part in parts])
        pieces = torch.split(vector, [part.numel() for part in parts])
        views = [piece.view_as(part) for piece, part in zip(pieces, parts, strict=True)]
        if projection is DISCRIMINATOR:
            self.acetylcholine.weights = Weights(views[:-2], views[-2], views[-1])
        else:
            for i, layer in enumerate(self.layers):
                setattr(layer, projection.value, views[2 * i : 2 * i + 2])
        return vector

    def _fire(
        self, psi: Psi, potential: Tensor, noise: NoiseSource | None, gain: Tensor | None
    ) -> LayerState:
        xi = jitter = None
        if noise is not None and self.sigma > 0:
            xi = unit_noise(noise, potential.shape, self.density)
            jitter = self.sigma * xi
        drive: Fired = fire(psi, potential, gain if self.gain_first else None, jitter)
        if gain is None or self.gain_first:
            return LayerState(drive.rate, drive.rate, drive, xi)
        soma = drive.rate * gain
        return LayerState(soma, soma, drive, xi, gain)

    def state_dict(self) -> dict[str, Tensor]:
        """Return every tensor that makes the network what it is, by name."""
        tensors = {
            f"{projection}.{k}": tensor
            for projection in Projection
            for k, tensor in enumerate(self.parameters(projection))
        }
        tensors["ach.baseline"] = self.acetylcholine.baseline
        return tensors

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy every tensor of ``tensors`` into the network, which must have the same ones."""
        own = self.state_dict()
        if own.keys() != tensors.keys():
            raise ValueError(f"state has other tensors: {sorted(own.keys() ^ tensors.keys())}")
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
