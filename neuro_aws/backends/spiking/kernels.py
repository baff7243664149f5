"""The linear synapse and the escape noise of Urbanczik & Senn (2014), in closed form.

Dimensionless: 1 unit of potential = 15 mV; time in ms. numpy only; ``equations`` says the same in
Brian2 code, and tests compare the two.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

UNMASKED = {"masked": 0.0, "nest": 1.0}
"""``spiking.refractory_error``: the share of p* that counts while a cell is refractory."""


@dataclass(frozen=True, slots=True)
class Neuron:
    """Parameters of the two-compartment neuron, with where they come from.

    Urbanczik & Senn, Neuron 81 (2014), as in NEST's pp_cond_exp_mc_urbanczik: leak, coupling,
    tau_s, rate_most, k, beta, reversal potentials. NEST's example: refractory. Ours: teacher, the
    conductance by which feedforward input (or a stimulus, or the prior) drives the soma.
    """

    leak: float = 0.1
    """g_L (1/ms): membrane time constant 1 / g_L = 10 ms."""
    coupling: float = 2.0
    """g_D (1/ms), dendrite to soma."""
    teacher: float = 2.0
    """Conductance of what drives a soma instead of its dendrite (1/ms)."""
    tau_s: float = 3.0
    """Synaptic time constant (ms)."""
    rate_most: float = 0.15
    """phi_max (1/ms)."""
    k: float = 0.5
    beta: float = 5.0
    theta: float = 1.0
    excitatory: float = 14 / 3
    """E_E, reversal potential of the excitatory teacher."""
    inhibitory: float = -1 / 3
    """E_I."""
    refractory: float = 3.0
    """Absolute refractory period (ms)."""

    @property
    def tau_l(self) -> float:
        """Membrane time constant (ms)."""
        return 1 / self.leak

    @property
    def psp_scale(self) -> float:
        """Factor of the two exponentials of a PSP: tau_s / (g_L (tau_L - tau_s))."""
        return self.tau_s / (self.leak * (self.tau_l - self.tau_s))

    @property
    def prediction(self) -> float:
        """V* = g_D / (g_L + g_D) V: where the soma would settle if only the dendrite drove it."""
        return self.coupling / (self.leak + self.coupling)


def phi(neuron: Neuron, u: Array) -> Array:
    """Return the firing intensity (1/ms) at potentials u: rate_most / (1 + k exp(beta (1 - u)))."""
    return neuron.rate_most / (1 + neuron.k * np.exp(neuron.beta * (neuron.theta - u)))


def rate_at(neuron: Neuron, u: Array, h: float) -> Array:
    """Return the rate (Hz) of a cell held at u, refractory period included, at a time step of h.

    With p = 1 - exp(-phi h) in each free time step: p / (1 + p (refractory / h - 1)) a time step.
    """
    p = -np.expm1(-phi(neuron, u) * h)
    return np.asarray(1000 / h * p / (1 + p * (neuron.refractory / h - 1)))


def potential_at(neuron: Neuron, rate: Array, h: float) -> Array:
    """Return the potential at which a cell fires at a rate (Hz): the inverse of ``rate_at``.

    A rate that no potential gives is taken as that of 0.95 times the greatest intensity.
    """
    each = np.asarray(rate) * h / 1000
    with np.errstate(invalid="ignore", divide="ignore"):
        p = each / (1 - each * (neuron.refractory / h - 1))
        intensity = np.where((p >= 0) & (p < 1), -np.log1p(-p) / h, np.inf)
    share = np.clip(intensity / neuron.rate_most, 1e-3, 0.95)
    return np.asarray(neuron.theta - np.log((1 / share - 1) / neuron.k) / neuron.beta)


def slope(neuron: Neuron, u: Array) -> Array:
    """Return phi'(u) = beta phi (1 - phi / rate_most)."""
    rate = phi(neuron, u)
    return neuron.beta * rate * (1 - rate / neuron.rate_most)


def psp(neuron: Neuron, t: Array) -> Array:
    """Return PSP(t) = scale (e^{-t / tau_L} - e^{-t / tau_s}), t >= 0, per unit of weight."""
    found: Array = neuron.psp_scale * (np.exp(-t / neuron.tau_l) - np.exp(-t / neuron.tau_s))
    return found
