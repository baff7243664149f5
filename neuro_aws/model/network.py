"""Layers and neuromodulators wired together. Applies changes; knows no learning rule."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from neuro_aws.functional.activations import inverse_relu
from neuro_aws.functional.batch_norm import Normed
from neuro_aws.functional.compartments import Fired, Psi, fire, pool_of
from neuro_aws.functional.decay import Decay
from neuro_aws.functional.noise import NoiseSource, unit_noise
from neuro_aws.functional.plasticity import Density
from neuro_aws.functional.shapes import last, rows
from neuro_aws.model.acetylcholine import Acetylcholine
from neuro_aws.model.layer import Layer
from neuro_aws.model.memory import Replay
from neuro_aws.model.prior import LearntPrior
from neuro_aws.model.readout import Readout, readout_level
from neuro_aws.model.state import Changes, LayerState, NetworkState
from neuro_aws.phase import DISCRIMINATOR, FEEDFORWARD, READOUT, Phase, Projection

Gains = Mapping[int, Tensor]
"""Factors on the somatic rates of a layer, by layer: what silencing and activation come down to."""

NO_GAINS: Gains = {}


class Network:
    """h_0 ... h_N, the connections between neighbours, and acetylcholine.

    ``sigma`` is the standard deviation of the noise on every driven compartment, ``density`` its
    shape; ``inverse_relu_scale`` the stochastic inverse ReLU's (0: off); ``gain_first`` puts a
    perturbation's gain before the normalisation instead of after it; ``bottom_noise`` says whether
    the dreamt stimulus is noisy too. The decays make noise and inverse ReLU smaller with age;
    ``noise_by_layer`` multiplies sigma at h_0 ... h_N, in wake and REM alike. ``shapes`` and
    ``sizes`` are those of one sample of h_0 ... h_N, positions counted.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        acetylcholine: Acetylcholine,
        readout: Readout | None = None,
        *,
        sigma: float,
        density: Density = "gaussian",
        inverse_relu_scale: float = 0.0,
        gain_first: bool = False,
        bottom_noise: bool = True,
        noise_decay: Decay | None = None,
        inverse_relu_decay: Decay | None = None,
        noise_by_layer: Sequence[float] = (),
        prior: LearntPrior | None = None,
        replay: Replay | None = None,
    ) -> None:
        self.layers = list(layers)
        self.shapes = [layer.shape_below() for layer in layers] + [layers[-1].shape_above()]
        self.sizes = [math.prod(shape) for shape in self.shapes]
        self.acetylcholine = acetylcholine
        self.readout = readout
        self._flat = {projection: self._gather(projection) for projection in self.projections}
        self.born_sigma = self.sigma = sigma
        self.density: Density = density
        self.born_inverse_relu = self.inverse_relu_scale = inverse_relu_scale
        self.gain_first = gain_first
        self.bottom_noise = bottom_noise
        self.noise_decay = noise_decay or Decay()
        self.inverse_relu_decay = inverse_relu_decay or Decay()
        self.learnt_prior = prior
        self.replay = replay
        self.noise_by_layer = list(noise_by_layer) or [1.0] * (self.depth + 1)

    def sigma_of(self, layer: int) -> float:
        """Return the standard deviation of the noise on one layer's potentials."""
        return self.sigma * self.noise_by_layer[layer]

    def age(self, step: int) -> None:
        """Take the noise that belongs to this step of life."""
        self.sigma = self.born_sigma * self.noise_decay.at(step)
        self.inverse_relu_scale = self.born_inverse_relu * self.inverse_relu_decay.at(step)

    @property
    def projections(self) -> list[Projection]:
        """Return the projections that this network has."""
        return [p for p in Projection if p is not READOUT or self.readout is not None]

    @property
    def depth(self) -> int:
        """Return N, the index of the top layer."""
        return len(self.layers)

    @property
    def maps(self) -> bool:
        """Say whether the layers are maps of channels."""
        return len(self.shapes[0]) > 1

    @property
    def top_units(self) -> int:
        """Return the number of units of h_N."""
        return self.sizes[-1]

    def admit(self, stimuli: Tensor) -> Tensor:
        """Return rows of pixels in [-1, 1] (channels last) as h_0 fires them, in its shape."""
        if self.binary:
            stimuli = (stimuli > 0).to(stimuli.dtype)
        shape = self.shapes[0]
        if len(shape) == 1 or stimuli.dim() == 4:
            return last(stimuli)
        channels, high, wide = shape
        return stimuli.view(-1, high, wide, channels).permute(0, 3, 1, 2)

    def parameters(self, projection: Projection) -> list[Tensor]:
        """Return the weights of one projection, from the bottom up, in a fixed order."""
        if projection is DISCRIMINATOR:
            return self.acetylcholine.parameters
        if projection is READOUT:
            return [] if self.readout is None else self.readout.parameters
        if projection is FEEDFORWARD:
            return [tensor for layer in self.layers for tensor in layer.feedforward]
        return [tensor for layer in self.layers for tensor in layer.feedback]

    def recognise(
        self,
        stimulus: Tensor,
        noise: NoiseSource | None,
        gains: Gains = NO_GAINS,
        running: bool = False,
    ) -> NetworkState:
        """Wake: h_0 = x, h_{i+1} = psi(F_i h_i + sigma xi); ``noise`` None leaves xi out.

        ``running``: normalise by running statistics instead of the batch's, where the layers do.
        """
        stimulus = self.admit(stimulus)
        seen = gains.get(0)
        if seen is not None:
            stimulus = stimulus * seen
        states = [LayerState(stimulus, stimulus, gain=seen)]
        for i, layer in enumerate(self.layers):
            potential, normed = layer.feedforward_potential(states[-1].transmitted, running)
            state = self._fire(i + 1, layer.psi_above, potential, noise, gains.get(i + 1), normed)
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
        top = self._prior(top)
        soma = top if gain is None else top * gain
        states = [LayerState(soma, soma, gain=gain)]
        for i in range(self.depth - 1, -1, -1):
            layer = self.layers[i]
            potential, normed = layer.feedback_potential(states[-1].soma)
            heard = noise if i or self.bottom_noise else None
            states.append(self._fire(i, layer.psi_below, potential, heard, gains.get(i), normed))
        return NetworkState(Phase.REM, tuple(reversed(states)))

    def _prior(self, top: Tensor) -> Tensor:
        """Return draws from the prior in the shape of h_N, normalised where h_N is."""
        top = last(top.view(-1, *self.shapes[-1])) if len(self.shapes[-1]) > 1 else top
        psi = self.layers[-1].psi_above
        if psi.normalisation == "none":
            return top
        return top / pool_of(top, psi.normalisation, psi.axis)

    def with_dendrites(self, state: NetworkState) -> NetworkState:
        """Return the state with d_i = psi(G_i h_{i+1}), the prediction that feedback makes."""
        layers = list(state.layers)
        for i, layer in enumerate(self.layers):
            s = layers[i]
            dendrite = layer.predict(layers[i + 1].soma)
            layers[i] = LayerState(s.soma, s.transmitted, s.drive, s.xi, s.gain, dendrite)
        return NetworkState(state.phase, tuple(layers))

    def prior(self, count: int, noise: NoiseSource) -> Tensor:
        """Return ``count`` draws of h_N as rows: from N(0, I), fair coins, or as learnt."""
        if self.learnt_prior is not None:
            return self.learnt_prior.sample(count, noise)
        shape = torch.Size((count, self.top_units))
        if self.binary:
            uniform = noise.uniform(shape)
            return (uniform < 0.5).to(uniform.dtype)
        return noise.normal(shape)

    @property
    def binary(self) -> bool:
        """Say whether units fire 0 or 1."""
        return self.layers[-1].psi_above.binary

    def picture(self, stimulus: Tensor) -> Tensor:
        """Return h_0, dreamt or seen, as pixels in [-1, 1]."""
        return 2 * stimulus - 1 if self.binary else stimulus

    def readout_level(self, state: NetworkState, weights: Sequence[Tensor]) -> Tensor:
        """Return R of each sample, read from h_{N-1} with the given weights."""
        return readout_level(state.layers[-2].soma, weights[0], weights[1])

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
        self.put(projection, [p.view_as(part) for p, part in zip(pieces, parts, strict=True)])
        return vector

    def put(self, projection: Projection, tensors: Sequence[Tensor]) -> None:
        """Let the layers use other tensors, of the same shapes, as weights of a projection."""
        if projection is DISCRIMINATOR:
            self.acetylcholine.weights = self.acetylcholine.weights.like(tensors)
        elif projection is READOUT:
            assert self.readout is not None
            self.readout.weight, self.readout.bias = tensors
        else:
            start = 0
            for layer in self.layers:
                count = len(getattr(layer, projection.value))
                setattr(layer, projection.value, list(tensors[start : start + count]))
                start += count

    def _fire(
        self,
        index: int,
        psi: Psi,
        potential: Tensor,
        noise: NoiseSource | None,
        gain: Tensor | None,
        normed: Normed | None = None,
    ) -> LayerState:
        xi = None
        sigma = self.sigma_of(index)
        if noise is not None and sigma > 0:
            xi = last(unit_noise(noise, potential.shape, self.density))
        drive: Fired = fire(psi, potential, gain if self.gain_first else None, xi, sigma)
        if psi.binary and noise is not None:
            drawn = last(noise.uniform(drive.value.shape)) < drive.value
            drive = drive._replace(rate=drawn.to(potential.dtype))
        if normed is not None:
            drive = drive._replace(normed=normed)
        if gain is None or self.gain_first:
            return LayerState(drive.rate, drive.rate, drive, xi)
        soma = drive.rate * gain
        return LayerState(soma, soma, drive, xi, gain)

    def state_dict(self) -> dict[str, Tensor]:
        """Return every tensor that makes the network what it is, by name."""
        tensors = {
            f"{projection}.{k}": tensor
            for projection in self.projections
            for k, tensor in enumerate(self.parameters(projection))
        }
        tensors["ach.baseline"] = self.acetylcholine.baseline
        if self.learnt_prior is not None:
            kept = self.learnt_prior.buffers()
            tensors |= {f"prior.{name}": tensor for name, tensor in kept.items()}
        if self.replay is not None:
            tensors |= {f"replay.{name}": kept for name, kept in self.replay.buffers().items()}
        for i, layer in enumerate(self.layers):
            tensors |= {f"layer{i}.{name}": kept for name, kept in layer.buffers().items()}
        return tensors

    def track(self, state: NetworkState) -> None:
        """Bring running statistics up to date with all passes up through F, the prior with wake."""
        waking = state.phase is Phase.WAKE
        if waking and self.learnt_prior is not None:
            self.learnt_prior.track(rows(state.layers[-1].soma.detach()))
        for passed in (state, *state.passes) if waking else state.passes:
            for layer, above in zip(self.layers, passed.layers[1:], strict=True):
                if above.drive is not None:
                    layer.track(above.drive)

    def statistics(self) -> list[Tensor]:
        """Return what changes in life beside the weights: running statistics, prior, baseline."""
        weights = {f"{p}.{k}" for p in self.projections for k in range(len(self.parameters(p)))}
        tensors = self.state_dict().items()
        return [t for name, t in tensors if name not in weights and name[:7] != "replay."]

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy every tensor of ``tensors`` into the network, which must have the same ones."""
        own = self.state_dict()
        if own.keys() != tensors.keys():
            raise ValueError(f"state has other tensors: {sorted(own.keys() ^ tensors.keys())}")
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
