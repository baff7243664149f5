"""What theories need of a network that the small networks of tests have not by themselves."""

from neuro_aws.protocol.theories import THEORIES

SEQUENCES = (
    "stimulus={source: sequences, of: text, length: 6, count: 80, held_out: 20, batch: 16}",
    "network.recurrent={symbols: 28, steps: 6, hidden: 20}",
    "network.layers=[28, 20]",
    "network.homeostasis.over=none",
    "network.prior=standard",
    "network.normalisation=none",
    "network.noise.scale=0",
    "network.memory=null",
)
"""A recurrent network, and what it reads."""

IN_TIME = tuple(name for name, theory in THEORIES.items() if theory.settings.in_time)
"""Theories of recurrent networks."""

NEEDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(IN_TIME, SEQUENCES),
    "vae": ("network.prior=standard", "network.inverse_relu=0"),
    "perturbed_adversarial_dreaming": ("network.memory=null",),
    "predictive_coding": (
        "network.homeostasis.over=none",
        "network.batch_norm_feedback=false",
    ),
    "contrastive_backprop": (
        "network.homeostasis.over=none",
        "network.batch_norm=none",
        "network.batch_norm_feedback=false",
        "algorithm.langevin_steps=3",
        "network.memory=null",
    ),
    "ddc_helmholtz": (
        "network.bottom=linear",
        "network.prior=standard",
        "network.homeostasis.over=none",
        "network.inverse_relu=0",
        "network.noise.scale=0.3",
        "network.noise.density=gaussian",
        "algorithm.functions=20",
        "algorithm.expansion=20",
        "network.memory=null",
    ),
    "variational_walkback": (
        "network.homeostasis.over=none",
        "network.batch_norm=none",
        "network.batch_norm_feedback=false",
        "network.noise.scale=0",
        "network.inverse_relu=0",
        "algorithm.factor=5",
        "network.memory=null",
    ),
    "boltzmann": (
        "network.units=binary",
        "network.transfer=sigmoid",
        "network.bottom=sigmoid",
        "network.top=sigmoid",
        "network.normalisation=none",
        "network.noise.scale=0",
        "network.inverse_relu=0",
        "network.prior=standard",
        "network.homeostasis.over=none",
        "network.batch_norm=none",
        "network.batch_norm_feedback=false",
        "network.spectral=false",
    ),
}
"""Settings by theory."""


def fitted(theory: str, settings: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the theory with what it needs, and with those of the settings that it can do with."""
    needs, known = NEEDS.get(theory, ()), THEORIES[theory].settings.model_fields
    taken = [need.split("=")[0] for need in needs]

    def fits(setting: str) -> bool:
        key = setting.split("=")[0]
        part, _, rest = key.partition(".")
        own = any(
            need == key or need.startswith(f"{key}.") or key.startswith(f"{need}.")
            for need in taken
        )
        return not own and (part != "algorithm" or rest.split(".")[0] in known)

    return (f"algorithm.name={theory}", *filter(fits, settings), *needs)
