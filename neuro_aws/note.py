"""How learning goes, in a few words, for whoever watches."""

from collections.abc import Mapping

from neuro_aws.engine import Moment
from neuro_aws.phase import Phase


def note(last: Mapping[Phase, Moment]) -> str:
    """Return the ACh gap and the summed prediction error of the last steps of wake and REM."""
    if not {Phase.WAKE, Phase.REM} <= last.keys():
        return ""
    wake, rem = (last[phase] for phase in (Phase.WAKE, Phase.REM))
    gap = float(wake.ach.own.reading.level.mean() - rem.ach.own.reading.level.mean())
    errors = [
        float((layer.soma - layer.dendrite.rate).square().mean())
        for layer in wake.state.layers
        if layer.dendrite is not None
    ]
    return f"ACh gap {gap:.3g}" + (f", error {sum(errors):.3g}" if errors else "")
