"""How learning goes, in a few words."""

from torch import Tensor

from neuro_aws.backends.rate.moment import Moment
from neuro_aws.model.state import NetworkState
from neuro_aws.phase import Phase


class Status:
    """The ACh gap and the summed prediction error of the last steps of wake and REM."""

    def __init__(self) -> None:
        self._level: dict[Phase, Tensor] = {}
        self._error = ""

    def note(self, moment: Moment) -> None:
        """Remember D of a step; nothing is computed, and no activity is held on to."""
        self._level[moment.spec.phase] = moment.level

    def of(self, state: NetworkState) -> str:
        """Return the words after a step; the error is that of the last one asked about in wake."""
        errors = [
            float((layer.soma - layer.dendrite.rate).square().mean())
            for layer in state.layers
            if layer.dendrite is not None
        ]
        if errors:
            self._error = f", error {sum(errors):.3g}"
        if not {Phase.WAKE, Phase.REM} <= self._level.keys():
            return ""
        gap = self._level[Phase.WAKE].mean() - self._level[Phase.REM].mean()
        return f"ACh gap {float(gap):.3g}{self._error}"
