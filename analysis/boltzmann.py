"""Contrastive divergence against what can be enumerated, and beside scikit-learn's machine.

    python analysis/boltzmann.py                            # 5 seeds, 1,000 pairs of learning
    python analysis/boltzmann.py --pairs 20 --seeds 1

First a machine of 64 pixels and 10 hidden units on binary digits: its partition function is a sum
over 1,024 states, so log p(x) and its gradient are exact. Printed for CD-1, CD-10 and persistent
chains: log p of held-out stimuli, in nats, at initialisation and after learning, and the cosine of
a wake and a REM step's Deltas (all training stimuli; weights and biases) with the exact gradient.
Then 64 to 128 as the shipped network has them, beside scikit-learn's BernoulliRBM (persistent
chains) with as many hidden units, updates and stimuli a step, at two rates of which the first is
ours: exact pseudo-likelihood of held-out stimuli, and the share of pixels that are wrong after a
pass up and down.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import torch
from sklearn.neural_network import BernoulliRBM
from torch import Tensor
from torch.nn.functional import softplus

from neuro_aws.algorithms.boltzmann import Boltzmann, pseudo_likelihood
from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.functional.noise import KeyedNoise
from neuro_aws.metrics.statistics import estimate
from neuro_aws.model.network import Network
from neuro_aws.phase import FEEDBACK, FEEDFORWARD, REM, WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.recording.writer import Discard

PROTOCOL = Path(__file__).parents[1] / "protocols" / "boltzmann.yaml"
HIDDEN = 10
RULES = {
    "CD-1": (),
    "CD-10": ("algorithm.gibbs_steps=10",),
    "persistent": ("algorithm.persistent=true",),
}
EXACT = (f"network.layers=[64, {HIDDEN}]", "measure=[]", "network.precision=float64")
RATES = (0.3, 0.05)
"""Of the machines that are compared; the first is that of the protocol."""


def learnt(animal: int, pairs: int, *overrides: str) -> RateSimulator:
    """Return a simulator that has not begun yet; ``advance`` trains it."""
    changes = (f"schedule.0.cycles={pairs}", *overrides)
    protocol = Protocol.load(PROTOCOL, changes)
    return RateSimulator(protocol, "one_step", animal)


def train(simulator: RateSimulator, pairs: int) -> None:
    """Simulate so many pairs of wake and REM."""
    simulator.advance(0, 2 * pairs, Discard(), lambda: False)


def parts(network: Network) -> tuple[Tensor, Tensor, Tensor]:
    """Return W, b and c of the lowest machine."""
    weight, b = network.layers[0].feedback
    return weight, b, network.layers[0].feedforward[1]


def states() -> Tensor:
    """Return all states of the hidden units."""
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=HIDDEN)), dtype=torch.float64)


def log_likelihood(weight: Tensor, b: Tensor, c: Tensor, v: Tensor) -> Tensor:
    """Return the exact mean log p(v)."""
    h = states()
    partition = torch.logsumexp(h @ c + softplus(h @ weight.T + b).sum(1), 0)
    return (v @ b + softplus(v @ weight + c).sum(1)).mean() - partition


def exact(animal: int, pairs: int, rule: str) -> list[float]:
    """Return log p(x) and the cosine with its gradient, at initialisation and after learning."""
    simulator = learnt(animal, pairs, *EXACT, *RULES[rule])
    found = looked_at(simulator)
    train(simulator, pairs)
    return found + looked_at(simulator)


def looked_at(simulator: RateSimulator) -> list[float]:
    """Return log p of held-out stimuli, and the cosine of one wake and REM with its gradient."""
    network, dataset = simulator.animal.network, simulator.animal.dataset
    with torch.no_grad():
        likelihood = log_likelihood(*parts(network), network.admit(dataset.held_out))
    leaves = [t.clone().requires_grad_() for t in parts(network)]
    seen = log_likelihood(leaves[0], leaves[1], leaves[2], network.admit(dataset.train))
    wanted = torch.cat([g.flatten() for g in torch.autograd.grad(seen, leaves)])
    with torch.inference_mode():
        change = contrastive(simulator)
    cosine = torch.nn.functional.cosine_similarity(change, wanted, dim=0)
    return [float(likelihood), float(cosine)]


def contrastive(simulator: RateSimulator) -> Tensor:
    """Return the sum of a wake and a REM step's Deltas of W, b and c; nothing is changed.

    Persistent chains go on from where they are, 64 of them; others start from all stimuli.
    """
    network, algorithm = simulator.animal.network, simulator.animal.algorithm
    assert isinstance(algorithm, Boltzmann)
    noise = KeyedNoise(simulator.number, "analysis/boltzmann", torch.float64).at(0)
    kept = dict(algorithm.memory)
    total: Tensor | float = 0.0
    for phase in (WAKE, REM):
        train = simulator.animal.dataset.train
        given = train if phase is WAKE else network.prior(len(train), noise)
        state = algorithm.propagate(network, given, phase, noise, {})
        deltas = algorithm.deltas(network, state, network.acetylcholine(state, noise), phase)
        back, forward = deltas[FEEDBACK].tensors, deltas[FEEDFORWARD].tensors
        every = (*back.values(), forward["feedforward_into1_bias"])
        total = total + torch.cat([tensor.flatten() for tensor in every])
        if phase is WAKE:
            algorithm.track(network, state)
    algorithm.memory.clear()
    algorithm.memory.update(kept)
    assert isinstance(total, Tensor)
    return total


def beside(animal: int, pairs: int) -> dict[str, list[float]]:
    """Return pseudo-likelihood and wrong pixels, of machines here and of scikit-learn's."""
    constant = ("algorithm.feedforward.decay.factor=1", f"algorithm.feedforward.rate={RATES[0]}")
    found = {}
    for rule in RULES:
        simulator = learnt(animal, pairs, *RULES[rule], *constant)
        if rule == "CD-1":
            found["at initialisation"] = judged(simulator)
        train(simulator, pairs)
        found[rule] = judged(simulator)
    dataset, network = simulator.animal.dataset, simulator.animal.network
    x = network.admit(dataset.train).double().numpy()
    batch = simulator.spec.stimulus.batch
    for rate in RATES:
        other = BernoulliRBM(
            128, learning_rate=rate, batch_size=batch, random_state=animal,
            n_iter=max(1, round(pairs * batch / len(x))),
        ).fit(x)  # fmt: skip
        components = torch.from_numpy(np.ascontiguousarray(other.components_)).float()
        layer = network.layers[0]
        layer.feedforward[0].copy_(components)
        layer.feedback[0].copy_(components.mT)
        layer.feedforward[1].copy_(torch.from_numpy(other.intercept_hidden_))
        layer.feedback[1].copy_(torch.from_numpy(other.intercept_visible_))
        found[f"scikit-learn, {rate:g}"] = judged(simulator)
    return found


def judged(simulator: RateSimulator) -> list[float]:
    """Return pseudo-likelihood of held-out stimuli and the share of wrong pixels, noise off."""
    network = simulator.animal.network
    with torch.inference_mode():
        v = network.admit(simulator.animal.dataset.held_out)
        level = pseudo_likelihood(network, v, range(v.shape[1])).mean()
        up = network.fire_above(0, v, None).soma
        down = network.fire_below(0, up, None).soma
        return [float(level), float(((down > 0.5) != (v > 0.5)).double().mean())]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    animals = range(options.seeds)
    print(
        f"64-{HIDDEN}, exact: log p(x) (nats) and cosine of Delta with its gradient, before, after"
    )
    for rule in RULES:
        columns = zip(*(exact(animal, options.pairs, rule) for animal in animals), strict=True)
        print(f"  {rule:<12}" + "".join(f"{estimate(values)!s:<28}" for values in columns))
    print("64-128: pseudo-likelihood (nats) and share of wrong pixels, held-out stimuli")
    found = [beside(animal, options.pairs) for animal in animals]
    for name in found[0]:
        columns = zip(*(f[name] for f in found), strict=True)
        print(f"  {name:<20}" + "".join(f"{estimate(values)!s:<28}" for values in columns))


if __name__ == "__main__":
    main()
