"""Passes through the layers: up in wake, down in REM, and what the dendrites predict."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from neuro_aws.functional.activations import inverse_relu
from neuro_aws.functional.batch_norm import Normed
from neuro_aws.functional.compartments import Fired, Psi, fire
from neuro_aws.functional.noise import NoiseSource, unit_noise
from neuro_aws.functional.shapes import last
from neuro_aws.model.lateral import Lateral
from neuro_aws.model.layer import Layer
from neuro_aws.model.memory import Memory
from neuro_aws.model.noise import UnitNoise
from neuro_aws.model.prior import LearntPrior, Prior
from neuro_aws.model.state import LayerState, NetworkState
from neuro_aws.phase import Phase
from neuro_aws.protocol.model import NetworkSection

Gains = Mapping[int, Tensor]
"""Factors on the somatic rates of a layer, by layer: what silencing and activation come down to."""

NO_GAINS: Gains = {}

Modulation = Callable[[int, Tensor], Tensor]
"""What a layer's potentials become before its units fire, given the layer and the potentials."""


class Passes:
    """h_0 ... h_N and the passes through them; ``gains`` are factors on the somata, by layer.

    ``shapes`` and ``sizes`` are those of one sample of h_0 ... h_N, positions counted.
    ``in_time``: positions are the steps of a sequence.
    """

    in_time = False

    def __init__(
        self,
        section: NetworkSection,
        layers: Sequence[Layer],
        lateral: Lateral,
        prior: LearntPrior | None,
        memory: Memory | None = None,
    ) -> None:
        self.layers = list(layers)
        self.lateral = lateral
        self.shapes = [layer.shape_below() for layer in layers] + [layers[-1].shape_above()]
        self.sizes = [math.prod(shape) for shape in self.shapes]
        self.prior = Prior(self.shapes[-1], layers[-1].psi_above, prior, memory)
        self.noise = UnitNoise(section)
        self.gain_first = section.perturb_activity == "before_normalisation"

    @property
    def depth(self) -> int:
        """Return N, the index of the top layer."""
        return len(self.layers)

    @property
    def maps(self) -> bool:
        """Say whether the layers are maps of channels."""
        return len(self.shapes[0]) > 1

    @property
    def binary(self) -> bool:
        """Say whether units fire 0 or 1."""
        return self.layers[-1].psi_above.binary

    def admit(self, stimuli: Tensor) -> Tensor:
        """Return rows of pixels in [-1, 1] (channels last) as h_0 fires them, in its shape."""
        if self.binary:
            stimuli = (stimuli > 0).to(stimuli.dtype)
        shape = self.shapes[0]
        if len(shape) == 1 or stimuli.dim() == 4:
            return last(stimuli)
        channels, high, wide = shape
        return stimuli.view(-1, high, wide, channels).permute(0, 3, 1, 2)

    def picture(self, stimulus: Tensor) -> Tensor:
        """Return h_0, dreamt or seen, as pixels in [-1, 1]."""
        return 2 * stimulus - 1 if self.binary else stimulus

    def recognise(
        self,
        stimulus: Tensor,
        noise: NoiseSource | None,
        gains: Gains = NO_GAINS,
        running: bool = False,
        until: int | None = None,
        modulated: Modulation | None = None,
    ) -> NetworkState:
        """Wake: h_0 = x, h_{i+1} = psi(F_i h_i + sigma xi); ``noise`` None leaves xi out.

        ``running``: normalise by running statistics instead of the batch's, where the layers do.
        ``until``: the layer to stop at, default the top; what is drawn after such a pass is what it
        would be after a whole one. ``modulated`` changes F_i h_i.
        """
        stimulus = self.admit(stimulus)
        gain = gains.get(0)
        if gain is not None:
            stimulus = stimulus * gain
        states = [LayerState(stimulus, stimulus, gain=gain)]
        reached = self.depth if until is None else until
        for i in range(reached):
            below = states[-1].transmitted
            state = self.fire_above(i, below, noise, gains, running, modulated)
            if self.noise.inverse_relu and noise is not None and i + 1 < self.depth:
                state = self._transmitted(state, noise, gains.get(i + 1))
            states.append(state)
        for i in range(reached, self.depth):
            self._draw_for(i + 1, len(stimulus), noise)
        return NetworkState(Phase.WAKE, tuple(states))

    def dream(
        self, top: Tensor, noise: NoiseSource | None, gains: Gains = NO_GAINS
    ) -> NetworkState:
        """REM: h_N as given, h_i = psi(G_i h_{i+1} + sigma xi) downwards."""
        gain = gains.get(self.depth)
        top = self.prior.shaped(top)
        soma = top if gain is None else top * gain
        states = [LayerState(soma, soma, gain=gain)]
        for i in range(self.depth - 1, -1, -1):
            states.append(self.fire_below(i, states[-1].soma, noise, gains))
        return NetworkState(Phase.REM, tuple(reversed(states)))

    def fire_above(
        self,
        i: int,
        below: Tensor,
        noise: NoiseSource | None,
        gains: Gains = NO_GAINS,
        running: bool = False,
        modulated: Modulation | None = None,
    ) -> LayerState:
        """Return h_{i+1} as feedforward input from layer i drives it."""
        layer = self.layers[i]
        potential, normed = layer.feedforward_potential(below, running)
        if modulated is not None:
            potential = modulated(i + 1, potential)
        return self._fire(i + 1, layer.psi_above, potential, noise, gains.get(i + 1), normed)

    def fire_below(
        self, i: int, above: Tensor, noise: NoiseSource | None, gains: Gains = NO_GAINS
    ) -> LayerState:
        """Return h_i as feedback from layer i + 1 drives it in REM."""
        layer = self.layers[i]
        potential, normed = layer.feedback_potential(above, dreaming=True)
        source = noise if i or self.noise.bottom else None
        return self._fire(i, layer.psi_below, potential, source, gains.get(i), normed)

    def with_dendrites(self, state: NetworkState) -> NetworkState:
        """Return the state with d_i = psi(G_i h_{i+1}), the prediction that feedback makes."""
        layers = list(state.layers)
        for i, layer in enumerate(self.layers):
            s = layers[i]
            dendrite = layer.predict(layers[i + 1].soma)
            layers[i] = LayerState(
                s.soma, s.transmitted, s.drive, s.xi, s.gain, dendrite, s.previous
            )
        return NetworkState(state.phase, tuple(layers))

    def _draw_for(self, index: int, batch: int, noise: NoiseSource | None) -> None:
        """Draw what a layer would take that a pass does not reach."""
        if noise is None:
            return
        shape = torch.Size((batch, *self.shapes[index]))
        if self.noise.sigma > 0:
            unit_noise(noise, shape, self.noise.density)
        if self.binary:
            noise.uniform(shape)
        if self.noise.inverse_relu and index < self.depth:
            noise.uniform(shape)

    def _transmitted(
        self, state: LayerState, noise: NoiseSource, gain: Tensor | None
    ) -> LayerState:
        """Return the state with what its axons carry: a sample of the soma's inverse ReLU."""
        uniform = noise.uniform(state.soma.shape)
        carried = inverse_relu(state.soma, uniform, self.noise.inverse_relu)
        if gain is not None:
            carried = torch.where(gain == 0, 0.0, carried)
        return LayerState(
            state.soma, carried, state.drive, state.xi, state.gain, None, state.previous
        )

    def _fire(
        self,
        index: int,
        psi: Psi,
        potential: Tensor,
        noise: NoiseSource | None,
        gain: Tensor | None,
        normed: Normed | None = None,
    ) -> LayerState:
        xi = previous = None
        sigma = self.noise.sigma
        if index in self.lateral.weights:
            previous = self.lateral.previous(index, potential)
            potential = potential + self.lateral.drive(index, previous)
        if noise is not None and sigma > 0:
            xi = last(unit_noise(noise, potential.shape, self.noise.density))
        drive: Fired = fire(psi, potential, gain if self.gain_first else None, xi, sigma)
        if psi.binary and noise is not None:
            drawn = last(noise.uniform(drive.value.shape)) < drive.value
            drive = drive._replace(rate=drawn.to(potential.dtype))
        if normed is not None:
            drive = drive._replace(normed=normed)
        if gain is None or self.gain_first:
            return LayerState(drive.rate, drive.rate, drive, xi, previous=previous)
        soma = drive.rate * gain
        return LayerState(soma, soma, drive, xi, gain, previous=previous)
