"""The one door to Brian2: is it there, does it fit, and how it makes its code."""

import logging
import signal
import sys
import threading
from importlib import metadata
from types import ModuleType

from neuro_aws.errors import NeuroAWSError

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


def brian2() -> ModuleType:
    """Return the module, with its debug files switched off."""
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
    return module


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
    if wanted in ("numpy", "cpp_standalone"):  # the latter's program is made apart
        target = "numpy"
    elif compiler_works():
        target = "cython"
    else:
        log.warning("no working C compiler: spikes are computed with numpy, more slowly")
        target = "numpy"
    module.prefs.codegen.target = target
    return target


def compiler_works() -> bool:
    """Say whether Brian2 can compile."""
    from brian2.codegen.runtime.cython_rt import CythonCodeObject

    return bool(CythonCodeObject.is_available())
