"""Predictive coding: does settling lower the energy, and when is learning that of backprop?

    python analysis/predictive_coding.py                     # 5 seeds, 1,000 pairs of learning
    python analysis/predictive_coding.py --pairs 20 --seeds 1

First, networks of protocols/predictive_coding.yaml: the energy of held-out stimuli after so many
settling steps, before and after learning, and its largest rise in any of the steps that the theory
takes. Then a supervised network, 64-32-10: digits clamped at the top, one-hot labels at the bottom,
settled until nothing moves; the cosine of dG with minus backprop's gradient of |target - output|^2
/ 2. For small errors the settled output error is (I + J J^T)^-1 of that of a pass down, J the
output's derivative by the hidden layer: small errors alone are not enough, J must be small too, as
it is where outputs (weights and targets) have a small scale beside the unit variance of the errors.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from neuro_aws.algorithms.base import feedback_delta
from neuro_aws.algorithms.predictive_coding import PredictiveCoding, energy, settle, slope
from neuro_aws.backends.rate.build import build_network, load_dataset
from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.metrics.statistics import estimate
from neuro_aws.model.network import Network
from neuro_aws.model.state import LayerState, NetworkState, Tensors
from neuro_aws.phase import FEEDBACK, WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.model import Homeostasis, NetworkSection
from neuro_aws.recording.writer import Discard

PROTOCOL = Path(__file__).parents[1] / "protocols" / "predictive_coding.yaml"
DEPTHS = (0, 1, 5, 10, 20, 40, 80)
"""Settling steps at which the energy is printed."""

SUPERVISED = NetworkSection(
    layers=(10, 32, 64),
    transfer="tanh",
    bottom="linear",
    normalisation="none",
    homeostasis=Homeostasis(over="none"),
    prior="standard",
    precision="float64",
)
"""Output at the bottom, input at the top: 64 pixels down to 10 labels."""

SCALES, ERRORS = (1.0, 0.3, 0.1, 0.03), (1.0, 0.01)
"""Of output weights and targets; of the output error, where 1 is that of the initial network."""

BATCH, SETTLED, RATE = 128, 600, 0.1
"""Stimuli, and steps and rate that settle the supervised network."""


def settling(animal: int, pairs: int) -> list[tuple[list[float], float]]:
    """Return the energies at ``DEPTHS`` and the largest rise, before and after learning."""
    protocol = Protocol.load(PROTOCOL, (f"schedule.0.cycles={pairs}",))
    simulator = RateSimulator(protocol, protocol.tree.arms["settling"].trunk, animal)
    before = path(simulator)
    simulator.advance(0, 2 * pairs, Discard(), lambda: False)
    return [before, path(simulator)]


def path(simulator: RateSimulator) -> tuple[list[float], float]:
    """Return mean energies of held-out stimuli, and the largest rise in the theory's own steps."""
    network, algorithm = simulator.animal.network, simulator.animal.algorithm
    assert isinstance(algorithm, PredictiveCoding)
    rates = network.recognise(simulator.animal.dataset.held_out, None).somas
    found = [energy(network, rates).mean()]
    for _ in range(DEPTHS[-1]):
        rates = settle(network, rates, 1, algorithm.rate)
        found.append(energy(network, rates).mean())
    own = torch.stack(found[: algorithm.steps + 1])
    return [float(found[depth]) for depth in DEPTHS], float(own.diff().max())


def cosines(animal: int) -> dict[tuple[float, float], tuple[float, float]]:
    """Return the cosine of dG with backprop, of all weights and of the hidden layer's own."""
    protocol = Protocol.load(PROTOCOL)
    dataset = load_dataset(protocol.spec, animal, torch.device("cpu"))
    assert dataset.train_labels is not None
    given = dataset.train[:BATCH].double()
    labels = one_hot(dataset.train_labels[:BATCH], 10).double()
    network = build_network(SUPERVISED, protocol.spec.algorithm, animal, torch.device("cpu"))
    first = network.layers[0].feedback[0].clone()
    found = {}
    for scale in SCALES:
        network.layers[0].feedback[0].copy_(scale * first)
        for error in ERRORS:
            found[scale, error] = compared(network, given, scale * labels, error)
    return found


def compared(network: Network, given: Tensor, labels: Tensor, error: float) -> tuple[float, float]:
    """Return both cosines where targets lie so far on the way from outputs to labels."""
    weights = network.parameters(FEEDBACK)
    leaves = {name: t.clone().requires_grad_() for name, t in weights.items()}
    hidden = torch.tanh(given @ leaves["feedback_into1"].T + leaves["feedback_into1_bias"])
    output = hidden @ leaves["feedback_into0"].T + leaves["feedback_into0_bias"]
    target = torch.lerp(output, labels, error).detach()
    away = target - output
    loss = away.square().sum(1).mean() / 2
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    wanted = {name: -g for name, g in zip(leaves, gradients, strict=True)}
    start = [target, hidden.detach(), given]
    somas = settle(network, start, SETTLED, RATE, clamped=(0, 2))
    left, moved = (float(h.abs().max()) for h in (slope(network, somas)[1], away.detach()))
    if left > 1e-6 * moved:
        raise SystemExit(f"not settled: a slope of {left:.1e} is left")
    layers = tuple(LayerState(h, h) for h in somas)
    state = network.with_dendrites(NetworkState(WAKE, layers))
    changes = feedback_delta(network, state, "gaussian")
    every, one = list(weights), ["feedback_into1", "feedback_into1_bias"]
    return cosine(changes, wanted, every), cosine(changes, wanted, one)


def cosine(a: Tensors, b: Tensors, names: list[str]) -> float:
    """Return the cosine of the angle between tensors of these names."""
    one, other = (torch.cat([t[name].flatten() for name in names]) for t in (a, b))
    return float(torch.nn.functional.cosine_similarity(one, other, dim=0))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.no_grad():
        animals = [settling(animal, options.pairs) for animal in range(options.seeds)]
    for k, when in enumerate(("before learning", f"after {options.pairs} pairs")):
        print(f"energy of held-out stimuli {when}, by settling steps, {options.seeds} seeds")
        for depth, values in zip(
            DEPTHS, zip(*(a[k][0] for a in animals), strict=True), strict=True
        ):
            print(f"  {depth:>3} steps   {estimate(values)}")
        print(
            f"  largest change in one of the theory's own steps {max(a[k][1] for a in animals):.2g}"
        )
    print(
        "cosine of dG with backprop, mean and smallest: of all weights, of those into hidden units"
    )
    found = [cosines(animal) for animal in range(options.seeds)]
    for scale, error in found[0]:
        both = torch.tensor([f[scale, error] for f in found])
        every, hidden = (f"{c.mean():.5f} {c.min():.5f}" for c in both.T)
        print(f"  scale {scale:<5g} error {error:<5g}   {every}   {hidden}")


if __name__ == "__main__":
    main()
