"""Which form of the step a run takes: compiled, or written-out. Neither torch nor numba in here.

The written-out step is the specification. The compiled one (``backends/rate/compiled``) computes
the same in less time, where it covers what an experiment uses; ``REFUSALS`` is the one place that
says what it does not cover. One form is chosen for all arms of an experiment, so that they differ
by what is done to them and by nothing else.
"""

import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from neuro_aws.errors import NeuroAWSError, in_a_line
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.model import NetworkSection
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.theories import THEORIES

Asked = Literal["auto", "compiled", "written-out"]
COMPILED, WRITTEN_OUT = "compiled", "written-out"
INSTALL = "pip install 'neuro-aws[fast]'"
MISSING = "numba is not installed"

RELATIVE_TIME = {"dense": 0.25, "conv": 0.8}
"""Of a compiled step to a written-out one, for estimates (docs/performance.md)."""


class Form(NamedTuple):
    """The form of the step that was chosen, and why it is not the compiled one."""

    compiled: bool
    reason: str = ""
    relative_time: float = 1.0
    """Of a step, over that of a written-out one."""

    def __str__(self) -> str:
        """Return it as provenance and logs have it."""
        if self.compiled:
            return COMPILED
        return f"{WRITTEN_OUT} ({self.reason})" if self.reason else WRITTEN_OUT


Refusal = tuple[Callable[[ProtocolSpec], bool], str]

REFUSALS: tuple[Refusal, ...] = (
    (lambda spec: spec.backend != "rate", "spikes are simulated by Brian2"),
    (lambda spec: spec.network.units == "binary", "units fire 0 or 1"),
    (lambda spec: spec.network.recurrent is not None, "the network is recurrent"),
    (lambda spec: bool(spec.network.lateral), "layers have lateral weights"),
    (
        lambda spec: spec.network.order == "published",
        "dreams normalise before the transfer function",
    ),
    (
        lambda spec: (
            "leaky_relu_0.2" in (spec.network.transfer, spec.network.bottom, spec.network.top)
        ),
        "a transfer function has no compiled form",
    ),
    (lambda spec: spec.network.inverse_relu > 0, "axons carry an inverse ReLU"),
    (lambda spec: spec.network.products == "bfloat16", "products are in bfloat16"),
    (lambda spec: _published_discriminator(spec.network), "D is pooled, noisy or reads spreads"),
    (
        lambda spec: (
            spec.network.discriminator.penalty_form != "l2"
            or spec.network.discriminator.penalty_scope != "all"
        ),
        "D's penalty is another one than l2 of all states",
    ),
    (lambda spec: not _theory_compiled(spec), "the algorithm has no compiled form"),
    (lambda spec: spec.network.memory is not None, "the top layer has a memory"),
    (lambda spec: spec.stimulus.batch < 2, "a batch is one stimulus"),
)
"""What the compiled step does not cover, each with its reason in words."""


def _theory_compiled(spec: ProtocolSpec) -> bool:
    theory = THEORIES.get(spec.algorithm.name)
    return theory is not None and theory.compiled


def _published_discriminator(network: NetworkSection) -> bool:
    given = network.discriminator
    return given.pooled or given.spread or given.noise > 0


def refusals(spec: ProtocolSpec) -> Iterator[str]:
    """Yield why the compiled step does not cover an arm; nothing where it does.

    The step of a convolutional network is the one in torch, with compiled kernels in place of what
    they cover of it (``functional/fused.py``): nothing of it has to be refused.
    """
    if spec.backend == "rate" and spec.network.dcgan is not None:
        return
    yield from (reason for refuses, reason in REFUSALS if refuses(spec))


def installed() -> bool:
    """Say whether numba is there; it is not imported."""
    return importlib.util.find_spec("numba") is not None


def _specs(protocol: Protocol, arms: Iterable[str]) -> Iterator[ProtocolSpec]:
    """Yield the settings of every branch of the arms: before they branch off, and after."""
    for arm in arms:
        plan = protocol.tree.arms[arm]
        yield plan.initial
        yield plan.spec


def against(protocol: Protocol, arms: Iterable[str], device: str) -> str:
    """Return why arms of a protocol cannot take the compiled step here; empty where they can."""
    found = next((why for spec in _specs(protocol, arms) for why in refusals(spec)), "")
    if found:
        return found
    if device not in ("cpu", "auto"):
        return f"it computes on {device}"
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return "several processes share an animal"
    return "" if installed() else MISSING


def chosen(
    protocol: Protocol, arms: Iterable[str] | None = None, device: str = "cpu", asked: str = "auto"
) -> Form:
    """Return the form of the step for an experiment; refuse a compiled one that cannot be had.

    All arms of the protocol count, also those that are not run now: whichever are, they take the
    same steps.
    """
    if asked == WRITTEN_OUT:
        return Form(False, "asked for")
    if asked not in ("auto", COMPILED):
        raise NeuroAWSError(
            f"no form {asked!r}", where="step", next_step="Give auto, compiled or written-out"
        )
    reason = against(protocol, protocol.tree.arms if arms is None else arms, device)
    if reason and asked == COMPILED:
        raise _not_to_be_had(reason)
    return Form(not reason, reason, 1.0 if reason else _relative_time(protocol))


def _relative_time(protocol: Protocol) -> float:
    return RELATIVE_TIME["dense" if protocol.spec.network.dcgan is None else "conv"]


def loaded(form: Form, asked: str = "auto") -> Form:
    """Return the form that was chosen, its kernels imported; another one where they cannot be.

    numba may be there and of no use: too old for numpy, or with nowhere to keep what it compiles.
    """
    if not form.compiled:
        return form
    try:
        from neuro_aws.backends.rate.compiled import steps  # noqa: F401
    except Exception as error:  # numba raises of many kinds
        reason = f"numba cannot be used: {in_a_line(error)}"
        if asked == COMPILED:
            raise _not_to_be_had(reason) from error
        return Form(False, reason)
    return form


def _not_to_be_had(reason: str) -> NeuroAWSError:
    more = INSTALL if reason == MISSING else "Use --step auto or written-out"
    return NeuroAWSError(
        f"the compiled step is not to be had: {reason}", where="--step", next_step=more
    )


def kept_from_before() -> bool:
    """Say whether an earlier run left the kernels compiled. Imports numba."""
    from neuro_aws.backends.rate.compiled.steps import recognise
    from neuro_aws.functional.compiled.kernel import kept

    return kept(recognise)


def kept(said: str, protocol: Protocol, device: str, where: str) -> Form:
    """Return the form that a run began with, to go on with; refuse where it is not there any more.

    ``said``: what its provenance says; runs of before there were two have the written-out one.
    """
    if said != COMPILED:
        return Form(False, said.removeprefix(WRITTEN_OUT).strip(" ()"))
    reason = against(protocol, protocol.tree.arms, device)
    if reason:
        raise NeuroAWSError(
            f"began with the compiled step, which is not to be had here: {reason}",
            where=where,
            next_step=f"{INSTALL}, then resume" if reason == MISSING else "Resume where it began",
        )
    return Form(True, relative_time=_relative_time(protocol))
