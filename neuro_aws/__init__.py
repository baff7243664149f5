"""neuro-aws: Adversarial Wake-Sleep learning in cortex, simulated.

    from neuro_aws import Protocol, Session, open_run, run

Nothing heavy is imported until one of these is used.
"""

TYPE_CHECKING = False  # that of typing: `python -m neuro_aws` might find another in its folder

if TYPE_CHECKING:
    from typing import Any

    from neuro_aws.experiment.run import Options, resume, run
    from neuro_aws.experiment.session import Session
    from neuro_aws.protocol import Protocol
    from neuro_aws.recording.reader import Run, open_run

_HOMES = {
    "Protocol": "neuro_aws.protocol",
    "Run": "neuro_aws.recording.reader",
    "open_run": "neuro_aws.recording.reader",
    "Session": "neuro_aws.experiment.session",
    "Options": "neuro_aws.experiment.run",
    "resume": "neuro_aws.experiment.run",
    "run": "neuro_aws.experiment.run",
}

__all__ = ["Options", "Protocol", "Run", "Session", "open_run", "resume", "run"]


def __getattr__(name: str) -> "Any":
    """Import a public name when it is first asked for."""
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'neuro_aws' has no attribute {name!r}")
