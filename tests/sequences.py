"""A small recurrent network, and a second account of what it does: step by step, by hand."""

import torch

from neuro_aws.backends.rate.build import build_animal
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, LATERAL
from neuro_aws.protocol import Protocol

STEPS, SYMBOLS, HIDDEN = 9, 28, 5

PROTOCOL = f"""
schema_version: 3
name: sequences
stimulus: {{source: sequences, of: text, length: {STEPS}, count: 80, held_out: 20, batch: 16}}
network:
  recurrent: {{symbols: {SYMBOLS}, steps: {STEPS}, hidden: {HIDDEN}}}
  discriminator: {{hidden: 4}}
  precision: float64
algorithm: {{name: teacher_forcing}}
targets: {{cells: {{layer: 1, ids: [0, 3]}}}}
schedule:
  - {{name: training, cycles: 4, phases: [{{wake: 1}}, {{rem: 1}}, {{nrem: 1}}]}}
  - {{name: critical, cycles: 4, branch: true, phases: [{{wake: 1}}, {{rem: 1}}]}}
arms:
  control: {{}}
  silenced: {{perturb: [{{silence: {{targets: cells}}, during: rem, in: critical}}]}}
  clamped: {{perturb: [{{clamp: {{neuromodulator: ach}}, in: critical}}]}}
"""


def protocol(*overrides: str) -> Protocol:
    return Protocol.from_text(PROTOCOL, "sequences.yaml", overrides)


def animal_of(*overrides: str, seed: int = 0):
    """Return an animal of the protocol whose biases are not 0."""
    built = build_animal(protocol(*overrides).spec, seed, torch.device("cpu"))
    draw = torch.Generator().manual_seed(5)
    for kind in built.network.kinds:
        vector = built.network.flat(kind)
        vector += 0.3 * torch.randn(vector.shape, generator=draw, dtype=vector.dtype)
    return built


class Account:
    """F, L, G and D of a network, by copies of its weights; sequences are (batch, time, units)."""

    def __init__(self, network) -> None:
        kinds = (FEEDFORWARD, FEEDBACK, LATERAL, DISCRIMINATOR)
        self.leaves = {
            kind: {n: t.clone().requires_grad_() for n, t in network.parameters(kind).items()}
            for kind in kinds
        }

    def step(self, x, h):
        """Return the next state and the potential of its candidate, before any gain."""
        f, lateral = self.leaves[FEEDFORWARD], self.leaves[LATERAL]
        drive = [
            x @ f["feedforward_into1"][:, g].T + f["feedforward_into1_bias"][:, g] for g in range(3)
        ]
        back = [
            h @ lateral["lateral_in1"][:, g].T + lateral["lateral_in1_bias"][:, g] for g in range(3)
        ]
        r, z = (torch.sigmoid(drive[g] + back[g]) for g in range(2))
        a = drive[2] + r * back[2]
        return (1 - z) * torch.tanh(a) + z * h, a

    def run(self, symbols, gain=1.0, sent=None):
        """Return h_1, g a and log p at every step for a sequence that h_0 fires."""
        g = self.leaves[FEEDBACK]
        h = torch.zeros(len(symbols), HIDDEN, dtype=symbols.dtype)
        x = torch.zeros_like(symbols[:, 0])
        found = []
        for t in range(symbols.shape[1]):
            h, a = self.step(x, h)
            h, a = h * gain, a * gain
            logits = h @ g["feedback_into0"].T + g["feedback_into0_bias"]
            found.append((h, a, torch.log_softmax(logits, -1)))
            x = symbols[:, t]
        return (torch.stack(part, 1) for part in zip(*found, strict=True))

    def judged(self, potential, log_p):
        """Return the logit of D at every step."""
        w = {n.removeprefix("discriminator_"): t for n, t in self.leaves[DISCRIMINATOR].items()}
        heard = torch.cat([log_p.exp(), potential], -1)
        both = []
        for way in range(2):
            h = torch.zeros(len(heard), w["lateral"].shape[-1], dtype=heard.dtype)
            order = range(heard.shape[1])
            states = {}
            for t in order if way == 0 else reversed(order):
                inputs = torch.cat([w["from0"][way], w["from1"][way]], 1)
                i = (heard[:, t] @ inputs.T + w["bias"][way]).chunk(3, 1)
                o = (h @ w["lateral"][way].T + w["lateral_bias"][way]).chunk(3, 1)
                r, z = torch.sigmoid(i[0] + o[0]), torch.sigmoid(i[1] + o[1])
                h = (1 - z) * torch.tanh(i[2] + r * o[2]) + z * h
                states[t] = h
            both.append(torch.stack([states[t] for t in order], 1))
        u = torch.cat(both, -1)
        for k in (1, 2, 3):
            u = torch.relu(u @ w[f"rectified{k}"].T + w[f"rectified{k}_bias"])
        return (u @ w["readout"].T + w["readout_bias"])[..., 0]

    def descent(self, loss, kind):
        """Return minus the gradient of a loss, by name."""
        leaves = self.leaves[kind]
        found = torch.autograd.grad(loss, list(leaves.values()), retain_graph=True)
        return {name: -g for name, g in zip(leaves, found, strict=True)}
