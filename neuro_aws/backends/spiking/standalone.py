"""Steps of a spiking simulation as a C++ program of its own (Brian2's cpp_standalone)."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from neuro_aws.backends.spiking.blocks import BlockResult, Drive, Follower
from neuro_aws.backends.spiking.brian2_compat import Array, State, brian2
from neuro_aws.backends.spiking.cortex import Cortex
from neuro_aws.protocol.schema import ProtocolSpec


@contextmanager
def program() -> Iterator[Callable[[], None]]:
    """Let Brian2 write a program; what is given builds and runs it. Its folder goes with it."""
    b2 = brian2()
    with tempfile.TemporaryDirectory() as folder:
        b2.set_device("cpp_standalone", directory=folder, build_on_run=False)
        try:
            yield lambda: b2.device.build(directory=folder)
        finally:
            b2.device.reinit()
            b2.set_device("runtime")


def simulate_standalone(
    spec: ProtocolSpec,
    animal: int,
    traced: Array,
    state: State,
    drive: Drive,
    seed: int,
    follower: Follower,
) -> tuple[BlockResult, State]:
    """Simulate steps from a state; return the result and the state after them.

    The program cannot be inspected while it runs, so nothing can be stopped or saved before its
    end.
    """
    with program() as built:
        cortex = Cortex(spec, animal, traced)
        cortex.load(state)
        return cortex.simulate(drive, seed, follower=follower, built=built), cortex.state()
