"""What `validate` expects of a step, beside what the step takes here.

    python benchmarks/estimates.py [--rounds 5] [--pairs 100]

Networks of 64-64-32 units, wake and REM in turns, nothing recorded, one thread; the quickest round
of each. `calls` are small-array operations (protocol/machine.py) that take as long as the step does
beside its matrix products: the constants of protocol/rate_cost.py, and the `work` of these
theories, are set so that `ratio`, expected over taken, is about 1.
"""

import argparse
import time

import torch

from neuro_aws.backends.rate import forms
from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.branches import TRUNK
from neuro_aws.protocol.machine import measured
from neuro_aws.protocol.rate_cost import flops_per_step, step_seconds

TEXT = """
schema_version: 3
name: estimates
stimulus: {source: digits}
network: {layers: [64, 64, 32]}
schedule: [{name: learning, cycles: 1000000, branch: true, phases: [{wake: 1}, {rem: 1}]}]
arms: {control: {}}
"""
PLAIN = ("network.homeostasis.over=none", "network.prior=standard")
DEEPER = "network.layers=[64, 64, 64, 64, 32]"
THEORIES = ("wake_sleep", "interneuron", "perturbed_adversarial_dreaming", "vae")
CASES = {
    "default": (),
    "no homeostasis": PLAIN[:1],
    "standard prior": PLAIN[1:],
    "neither": PLAIN,
    "default, 4 pairs of layers": (DEEPER,),
    "neither, 4 pairs of layers": (*PLAIN, DEEPER),
    **{f"neither, {name}": (*PLAIN, f"algorithm.name={name}") for name in THEORIES},
    "neither, predictive_coding": (
        *PLAIN,
        "network.normalisation=none",
        "algorithm.name=predictive_coding",
    ),
}


def quickest(simulator: RateSimulator, rounds: int, pairs: int) -> float:
    """Return the seconds of a step, mean over wake and REM, in the quickest round."""
    engine, found = simulator.engine, []
    engine.observers = ()
    engine.run(10)
    for k in range(rounds):
        began = time.perf_counter()
        for step in range(10 + 2 * pairs * k, 10 + 2 * pairs * (k + 1)):
            engine.step(step)
        found.append((time.perf_counter() - began) / (2 * pairs))
    return min(found)


def main() -> None:
    """Print a row a case and form of the step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=100)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'case':40} {'form':12} {'ms':>6} {'calls':>6} {'expected':>9} {'ratio':>6}")
    for name, overrides in CASES.items():
        protocol = Protocol.from_text(TEXT, "estimates", overrides)
        for form in {form.compiled: form for form in _forms(protocol)}.values():
            machine = measured()
            simulator = RateSimulator(protocol, TRUNK, 0, compiled=form.compiled)
            taken = quickest(simulator, given.rounds, given.pairs)
            calls = (taken - flops_per_step(protocol.spec) / machine.products) / machine.call
            expected = form.relative_time * step_seconds(protocol.spec, machine)
            print(
                f"{name:40} {str(form).partition(' ')[0]:12} {1e3 * taken:6.2f} {calls:6.0f} "
                f"{1e3 * expected:9.2f} {expected / taken:6.2f}"
            )


def _forms(protocol: Protocol) -> list[forms.Form]:
    """Return the written-out form of the step, and the one that a run would take."""
    written = forms.chosen(protocol, asked=forms.WRITTEN_OUT)
    return [written, forms.loaded(forms.chosen(protocol))]


if __name__ == "__main__":
    main()
