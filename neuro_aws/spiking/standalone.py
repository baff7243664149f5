"""A stretch of spiking life as a C++ program of its own (Brian2's cpp_standalone)."""

import tempfile

import numpy as np

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.spiking.brian import brian2, compiler_works
from neuro_aws.spiking.cortex import Array, Cortex, Drive, Lived, State


def live_standalone(
    spec: ProtocolSpec, animal: int, traced: Array, state: State, drive: Drive, seed: int
) -> tuple[Lived, State]:
    """Live a stretch from a state; return what it gave and the state after it.

    The program is written, compiled and run in a folder that goes with it. Nothing can look into
    it while it runs, so there is nothing to stop or to save before its end.
    """
    b2 = brian2()
    if not compiler_works():
        raise NeuroAWSError(
            "target cpp_standalone needs a C++ compiler", next_step="Use target: numpy"
        )
    with tempfile.TemporaryDirectory() as folder:
        b2.set_device("cpp_standalone", directory=folder, build_on_run=False)
        try:
            cortex = Cortex(spec, animal, traced)
            cortex.load(state)
            lived = cortex.live(drive, seed, built=lambda: b2.device.build(directory=folder))
            after = {name: np.array(values) for name, values in cortex.state().items()}
        finally:
            b2.device.reinit()
            b2.set_device("runtime")
    return lived, after
