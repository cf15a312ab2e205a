"""Train the classifier and write it as the model server reads it.

`python -m e2e.demo.digits.train FOLDER --version 1.0.0` writes `model.joblib` (the weights), `parameters.json` (how they came about) and
`model-settings.json` (how to serve them). With `--bits 8` the weights are rounded after training, tensor by tensor, to that many bits.

On one machine the same version gives the same bytes each time: the seed is fixed and linear algebra runs in one thread. Another processor may
round differently and so give other digests.
"""

import argparse
import json
from pathlib import Path

import joblib  # type: ignore[import-not-found,unused-ignore]  # in the demo's own environment only, like the next ones
import numpy as np  # type: ignore[import-not-found,unused-ignore]
import sklearn  # type: ignore[import-not-found,unused-ignore]
from sklearn.neural_network import MLPClassifier  # type: ignore[import-not-found,unused-ignore]
from threadpoolctl import threadpool_limits  # type: ignore[import-not-found,unused-ignore]

from e2e.demo.digits import data

MODEL = "digits"
PARAMETERS = {"hidden_layer_sizes": [64, 32], "alpha": 0.5, "max_iter": 1000, "random_state": 0}
"""A penalty on large weights above the library's default: 0.970 of the held-out images instead of 0.963."""


def main() -> None:
    """Train, and write three files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--version", required=True)
    parser.add_argument("--bits", type=int, choices=range(2, 17), metavar="2..16", help="round the weights to this many bits")
    options = parser.parse_args()
    images, labels = data.training()
    network = MLPClassifier(**PARAMETERS)
    with threadpool_limits(limits=1):
        network.fit(images, labels)
    if options.bits:
        network.coefs_ = [rounded(tensor, bits=options.bits) for tensor in network.coefs_]
        network.intercepts_ = [rounded(tensor, bits=options.bits) for tensor in network.intercepts_]
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(network, folder / "model.joblib")
    _write(
        folder / "parameters.json",
        {
            "model": MODEL,
            "version": options.version,
            "algorithm": "sklearn.neural_network.MLPClassifier",
            "library": f"scikit-learn {sklearn.__version__}",
            "parameters": PARAMETERS,
            "bits": options.bits or 64,
            "dataset": {"name": "sklearn.datasets.load_digits", "images": len(labels), "digest": data.digest(images, labels)},
        },
    )
    _write(
        folder / "model-settings.json",
        {
            "name": MODEL,
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": "./model.joblib", "version": options.version},
        },
    )


def rounded(tensor: np.ndarray, *, bits: int) -> np.ndarray:
    """Round to the nearest of 2^bits - 1 evenly spaced values around zero that reach as far as the largest weight."""
    step = np.abs(tensor).max() / (2 ** (bits - 1) - 1)
    result: np.ndarray = np.round(tensor / step) * step
    return result


def _write(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
