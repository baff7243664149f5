"""The only module that imports Brian2: is it installed, does it fit, how it generates code."""

import gc
import logging
import signal
import sys
import threading
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro_aws.errors import NeuroAWSError

Array = NDArray[Any]
State = dict[str, Array]
"""Variables of Brian2's objects, as object.variable."""

NUMPY_LIMIT = (2, 4)
"""Brian2 up to 2.9 breaks with this numpy on Python 3.11."""

LAST_LIMITED = (2, 9)
log = logging.getLogger("neuro_aws")


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in metadata.version(name).split(".")[:2] if part.isdigit())


def refuse_unfit(brian: tuple[int, ...], numpy: tuple[int, ...]) -> None:
    """Refuse a numpy that this Brian2 cannot work with."""
    if brian <= LAST_LIMITED and numpy >= NUMPY_LIMIT:
        raise NeuroAWSError(
            f"Brian2 {'.'.join(map(str, brian))} does not work with numpy "
            f"{'.'.join(map(str, numpy))}",
            next_step='pip install "numpy<2.4" (constraints.txt has a pair that works)',
        )


@cache
def brian2() -> ModuleType:
    """Return the module, with its debug files switched off; the first call imports it."""
    try:
        refuse_unfit(_version("brian2"), _version("numpy"))
        module = _quietly_imported()
    except (ImportError, metadata.PackageNotFoundError) as error:
        raise NeuroAWSError(
            "spikes need Brian2, which is not installed",
            next_step='pip install -c constraints.txt -e ".[spiking]"',
        ) from error
    module.prefs["logging.delete_log_on_exit"] = True
    module.BrianLogger.suppress_hierarchy("brian2", filter_log_file=True)
    _spare_what_is_there()
    return module


def _spare_what_is_there() -> None:
    """Let the garbage collector pass over all that is in memory now, mostly what was imported.

    Brian2 collects at the start of each of its runs, two of them a branch, and would look through
    torch and itself every time.
    """
    gc.collect()
    gc.freeze()


def _quietly_imported() -> ModuleType:
    """Import Brian2 and give back what it takes on import: Ctrl-C, and the way errors are shown."""
    main = threading.current_thread() is threading.main_thread()
    handler, shown = signal.getsignal(signal.SIGINT), sys.excepthook
    import brian2 as module

    sys.excepthook = shown
    if main and signal.getsignal(signal.SIGINT) is not handler:
        signal.signal(signal.SIGINT, handler)
    found: ModuleType = module
    return found


def chosen_target(wanted: str) -> str:
    """Return the target to use: numpy, with a warning, where there is no C compiler."""
    module = brian2()
    if wanted == "cpp_standalone" and not compiler_works():
        raise NeuroAWSError(
            "target cpp_standalone needs a C++ compiler", next_step="Use target: numpy"
        )
    if wanted in ("numpy", "cpp_standalone"):  # the latter's program is made apart
        target = "numpy"
    elif compiler_works():
        target = "cython"
    else:
        log.warning("no working C compiler: spikes are computed with numpy, more slowly")
        target = "numpy"
    module.prefs.codegen.target = target
    return target


def now(network: Any) -> float:
    """Return the clock of a Brian2 network (ms)."""
    return float(network.t / brian2().ms)


def ran(network: Any, begun: float, duration: float) -> bool:
    """Say whether a run begun at ``begun`` ms came to its end; Ctrl-C can cut it short."""
    return abs(now(network) - begun - duration) < 1e-6


def state_of(objects: Mapping[str, Any], kept: Mapping[str, list[str]]) -> State:
    """Return variables of objects, copied, as object.variable."""
    return {
        f"{name}.{v}": np.array(getattr(objects[name], v)[:])
        for name, variables in kept.items()
        for v in variables
    }


def put_back(objects: Mapping[str, Any], kept: Mapping[str, list[str]], state: State) -> None:
    """Take up what ``state_of`` returned, all of it and nothing else."""
    known = {f"{name}.{v}" for name, variables in kept.items() for v in variables}
    if known != state.keys():
        odd = ", ".join(sorted(known ^ state.keys()))
        raise NeuroAWSError(
            f"the state does not fit this version ({odd})", next_step="Start the run anew"
        )
    for key, values in state.items():
        name, variable = key.split(".")
        getattr(objects[name], variable)[:] = values


def emptied(objects: Mapping[str, Any]) -> None:
    """Empty the monitors, whose memory would grow; their counts are not reset by resize."""
    b2 = brian2()
    for monitor in objects.values():
        if isinstance(monitor, b2.SpikeMonitor | b2.StateMonitor):
            monitor.resize(0)
            monitor.variables["N"].set_value(0)


def writes_programs() -> bool:
    """Say whether Brian2 is set to write a program (cpp_standalone) instead of running."""
    from brian2.devices.device import RuntimeDevice

    return not isinstance(brian2().get_device(), RuntimeDevice)


def compiler_works() -> bool:
    """Say whether Brian2 can compile."""
    from brian2.codegen.runtime.cython_rt import CythonCodeObject

    return bool(CythonCodeObject.is_available())
