"""Feature extractors for distances between images: a user's own, or a classifier trained here."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.files import refuse_irregular

PORTION = 500
INCEPTION_FEATURES = 2048


class Network(Protocol):
    """From images (n, channels, side, side) in [-1, 1] to features (n, k)."""

    def __call__(self, images: Tensor) -> Tensor:
        """Return the features."""
        ...


@dataclass(frozen=True)
class Extractor:
    """A network whose features stand for images; ``name`` is that of the distance made with it.

    ``hash`` identifies the network's weights; ``accuracy`` is the test accuracy of a classifier
    that was trained here (nan: not known).
    """

    network: Network
    name: str
    hash: str
    accuracy: float = float("nan")

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        """Return features as rows."""
        with torch.no_grad():
            parts = [
                self.network(part.float().contiguous()) for part in torch.split(images, PORTION)
            ]
        features = torch.cat(parts).flatten(1).cpu().numpy().astype(np.float64)
        if not np.isfinite(features).all():
            raise NeuroAWSError(f"features of {self.name} are not finite", where="--extractor")
        return features


def load_extractor(
    path: str | Path, shape: tuple[int, int, int], device: torch.device
) -> Extractor:
    """Return a TorchScript extractor; only an Inception network's distance is called FID."""
    path = Path(path).expanduser()
    refuse_irregular(path, "--extractor")
    try:
        content = path.read_bytes()
        network = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            features = network(torch.zeros(2, *shape, device=device))
    except FileNotFoundError as error:
        raise NeuroAWSError("no such extractor", where=str(path)) from error
    except (RuntimeError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise NeuroAWSError(
            f"does not serve as an extractor of {shape} images ({reason})",
            where=str(path),
            next_step="Give a TorchScript file from (n, channels, side, side) to features (n, k)",
        ) from error
    if not isinstance(features, Tensor) or features.shape[0] != 2 or features[0].numel() < 2:
        raise NeuroAWSError("gives no row of features for each image", where=str(path))
    inception = "inception" in f"{path.name} {network.original_name}".lower()
    fid = inception and features[0].numel() == INCEPTION_FEATURES
    name = "fid" if fid else "frechet_" + _slug(path.stem)
    return Extractor(network, name, hashlib.sha256(content).hexdigest()[:16])


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in text.lower())[:40]
