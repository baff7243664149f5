"""The settings of a recurrent network, and which of other networks it has no use for."""

from typing import TYPE_CHECKING, Any

from pydantic import Field

from neuro_aws.protocol.base import Section

if TYPE_CHECKING:
    from neuro_aws.protocol.model import NetworkSection


class Recurrent(Section):
    """A layer of gated units (GRU) that reads a sequence of symbols, and a D that hears it."""

    symbols: int = Field(2, ge=2, le=256)
    """Symbols of a sequence: units of h_0, of which one fires in each time step."""
    steps: int = Field(64, ge=2, le=4096)
    """Length of a sequence, time steps."""
    hidden: int = Field(64, ge=1, le=2048)
    """Units of h_1."""
    heard_above: float = Field(0.75, ge=0, le=1)
    """The gate is open while D tells wake from sleep with a higher accuracy than this."""
    learns_below: float = Field(0.99, ge=0, le=1)
    """D learns while its accuracy is not above this."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Units of h_0 and h_1."""
        return (self.symbols, self.hidden)


RECURRENT: dict[str, Any] = {
    "homeostasis": {"over": "none"},
    "prior": "standard",
    "memory": None,
    "normalisation": "none",
    "noise": {"scale": 0.0},
}
"""What a recurrent network has in place of the defaults: its gated units are as they are."""

OF_RECURRENT = {
    "units": "rate",
    "normalisation": "none",
    "normalise_top": False,
    "order": "transfer_first",
    "prediction": "as_dreamt",
    "prior": "standard",
    "memory": None,
    "inverse_relu": 0.0,
    "derivative": "exact",
    "perturb_activity": "after_normalisation",
    "birth": "normal",
    "products": "exact",
    "transfer": "relu",
    "bottom": "tanh",
    "top": "linear",
}
"""The only values that settings of other layers may have beside a recurrent one, which has its own
transfer functions: sigmoid gates, tanh, and softmax over symbols."""

OF_D = ("hidden", "baseline_rate")
"""Settings of `discriminator` that have a meaning for a D over sequences."""


def refuse_beside(network: "NetworkSection", given: Recurrent) -> None:
    """Refuse settings that have no meaning beside a recurrent layer."""
    if network.dcgan is not None:
        raise ValueError("a network is convolutional (dcgan) or recurrent, not both")
    if network.layers != given.layers:
        raise ValueError(f"recurrent makes layers {list(given.layers)}; leave `layers` out")
    if network.lateral:
        raise ValueError("a recurrent layer has lateral weights anyway; leave `lateral` out")
    for key, only in OF_RECURRENT.items():
        if getattr(network, key) != only:
            raise ValueError(f"{key} has no meaning beside a recurrent layer; leave it out")
    if network.homeostasis.over != "none" or network.noise.scale:
        raise ValueError("gated units have neither homeostasis nor noise; leave both out")
    fields = type(network.discriminator).model_fields
    for key, value in network.discriminator:
        if key not in OF_D and value != fields[key].default:
            raise ValueError(
                f"discriminator.{key} has no meaning for D over a sequence; leave it out"
            )
