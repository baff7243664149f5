"""Presets: whole settings by name, under what a protocol writes itself."""

from typing import Any

from neuro_aws.protocol.model import Dcgan
from neuro_aws.protocol.recurrent import RECURRENT, Recurrent
from neuro_aws.protocol.theories import THEORIES, OwnAlgorithm

_CONSTANT = {"factor": 1.0, "every": 1, "least": 0.0}

WITHOUT_HOMEOSTASIS: dict[str, Any] = {
    "network": {
        "homeostasis": {"over": "none"},
        "prior": "standard",
        "prior_components": 1,
        "noise": {"scale": 0.2},
    },
    "algorithm": {
        "name": "adversarial_wake_sleep",
        "feedforward": {"rate": 5e-5, "decay": _CONSTANT},
        "feedback": {"rate": 1e-3, "decay": _CONSTANT},
        "discriminator": {"rate": 1.6e-3, "decay": _CONSTANT},
    },
}
"""Drives as they are, a given prior, constant rates: the default up to schema version 2."""

PUBLISHED: dict[str, Any] = {
    "network": {
        "order": "published",
        "prediction": "bare",
        "normalise_top": True,
        "batch_norm": "affine",
        "noise": {"scale": 0.01, "bottom": False},
        "inverse_relu": 0.5,
        "discriminator": {
            "hidden": 128,
            "slope": 0.01,
            "pooled": True,
            "spread": True,
            "noise": 0.01,
            "draws": "each",
            "penalty": 0.9,
            "penalty_form": "l1_signed",
        },
    },
    "algorithm": {
        "name": "adversarial_wake_sleep",
        "credit": "backprop",
        "density": "laplacian",
        "reduction": "mean",
        "kl": 1e-4,
        "feedforward": {"rate": 3e-4, "betas": [0.64, 0.999], "apply": "cycle", "clip": 50.0},
        "feedback": {"rate": 1e-5, "betas": [0.64, 0.999], "apply": "cycle"},
        "discriminator": {"rate": 1e-4, "betas": [0.64, 0.999], "apply": "cycle", "clip": 50.0},
    },
}
"""The published experiment of pure Adversarial Wake-Sleep (Table 1, and the code's own choices)."""

_BETAS = {"betas": [0.0, 0.9], "apply": "cycle"}

PUBLISHED_DOUBLY: dict[str, Any] = {
    "network": {
        **PUBLISHED["network"],
        "discriminator": {**PUBLISHED["network"]["discriminator"], "penalty": 0.7},
    },
    "algorithm": {
        "name": "doubly_adversarial",
        "gamma": 0.9,
        "density": "laplacian",
        "reduction": "mean",
        "kl": 1e-4,
        "feedforward": {"rate": 8e-4, **_BETAS},
        "feedback": {"rate": 2e-4, **_BETAS},
        "discriminator": {"rate": 1e-5, **_BETAS},
        "readout": {"rate": 1e-5, "penalty": 7.0, **_BETAS},
    },
}
"""The published experiment of Doubly Adversarial Wake-Sleep (Table 1)."""

_HALVED = {"factor": 0.5, "every": 600, "least": 0.125}

DCGAN: dict[str, Any] = {
    "network": {
        "order": "published",
        "batch_norm": "affine",
        "batch_norm_feedback": True,
        "prior": "learnt",
        "prior_components": 64,
        "noise": {"scale": 0.2, "bottom": False},
        "discriminator": {"hidden": 128, "penalty": 10.0, "penalty_scope": "pair"},
    },
    "algorithm": {
        "name": "adversarial_wake_sleep",
        "credit": "layer",
        "kl": 1e-3,
        "feedforward": {"rate": 2e-5, "betas": [0.9, 0.99], "decay": _HALVED},
        "feedback": {"rate": 2e-3, "betas": [0.9, 0.99], "decay": _HALVED},
        "discriminator": {"rate": 1e-3, "betas": [0.5, 0.9], "decay": _HALVED},
    },
}
"""The default for images: pure AWS that holds its dreams (docs/convolution.md)."""

BINARY: dict[str, Any] = {
    "network": {
        "units": "binary",
        "transfer": "sigmoid",
        "bottom": "sigmoid",
        "top": "sigmoid",
        "normalisation": "none",
        "noise": {"scale": 0.0},
    },
    "algorithm": {
        "name": "wake_sleep",
        "reduction": "mean",
        "kl": 0.0,
        "feedforward": {"rate": 1e-3, "betas": [0.5, 0.999]},
        "feedback": {"rate": 1e-3, "betas": [0.5, 0.999]},
    },
}
"""The published experiment of Wake-Sleep with stochastic binary units (Table 1)."""


def under(preset: dict[str, Any], written: dict[str, Any]) -> dict[str, Any]:
    """Return the preset's settings with what is written over them, key by key."""
    merged = dict(preset)
    for key, value in written.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = under(below, value)
        else:
            merged[key] = value
    return merged


PRESETS: dict[str, dict[str, Any]] = {
    "without_homeostasis": WITHOUT_HOMEOSTASIS,
    "dcgan": under(WITHOUT_HOMEOSTASIS, DCGAN),
    "binary": under(WITHOUT_HOMEOSTASIS, BINARY),
    "published": under(WITHOUT_HOMEOSTASIS, PUBLISHED),
    "published_doubly": under(WITHOUT_HOMEOSTASIS, PUBLISHED_DOUBLY),
}
"""Every preset by name; each says all that it needs, whatever the defaults are."""


def _of_theory(preset: dict[str, Any], written: Any) -> dict[str, Any]:
    """Return a preset without what the theory that the protocol names does not know."""
    name = written.get("name") if isinstance(written, dict) else None
    entry = THEORIES.get(name or preset["algorithm"]["name"])
    known = (entry.settings if entry is not None else OwnAlgorithm).model_fields
    kept = {key: value for key, value in preset["algorithm"].items() if key in known}
    return {**preset, "algorithm": kept}


def completed(data: Any) -> Any:
    """Return a protocol's data with its ``preset`` under it, and the layers its network makes.

    What is not as it should be is left for the validation to refuse.
    """
    if not isinstance(data, dict):
        return data
    if isinstance(data.get("preset"), str) and data["preset"] in PRESETS:
        data = under(_of_theory(PRESETS[data["preset"]], data.get("algorithm")), data)
    network = data.get("network")
    if isinstance(network, dict) and isinstance(network.get("dcgan"), dict):
        try:
            layers = Dcgan(**network["dcgan"]).layers
        except (TypeError, ValueError):
            return data
        data = {**data, "network": {"layers": list(layers), **network}}
    elif isinstance(network, dict) and isinstance(network.get("recurrent"), dict):
        try:
            layers = Recurrent(**network["recurrent"]).layers
        except (TypeError, ValueError):
            return data
        data = {**data, "network": under({"layers": list(layers), **RECURRENT}, network)}
    return data
