"""Train the classifier, or quantise one that was trained, and write it as the model server reads it.

`python -m e2e.demo.digits.train FOLDER --version 1.0.0` writes `model.safetensors` (the weights), `parameters.json` (how they came about) and
`model-settings.json` (how to serve them). With `--weights OTHER/model.safetensors --bits 3 2 4` nothing is trained: the other's weights are rounded, each
layer to so many bits.

On one machine the same version gives the same bytes each time: the seed is fixed and linear algebra runs in one thread. Another processor may
round differently and so give other digests.
"""

import argparse
import json
from pathlib import Path

import numpy as np  # type: ignore[import-not-found,unused-ignore]  # in the demo's own environment only, like the next ones
import sklearn  # type: ignore[import-not-found,unused-ignore]
from sklearn.neural_network import MLPClassifier  # type: ignore[import-not-found,unused-ignore]
from threadpoolctl import threadpool_limits  # type: ignore[import-not-found,unused-ignore]

from e2e.demo.digits import data, network

MODEL = "digits"
PARAMETERS = {"hidden_layer_sizes": [64, 32], "alpha": 0.5, "max_iter": 1000, "random_state": 0}
"""A penalty on large weights above the library's default: 0.970 of all images that were not trained on instead of 0.963."""
FINE_BITS = 8
CLIPPED = 0.03
"""Share of a row's weights at either end that are clipped below `FINE_BITS`: few steps are better spent on what is not an outlier."""


def main() -> None:
    """Train, and write three files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--version", required=True)
    parser.add_argument("--weights", type=Path, help="quantise this model.safetensors instead of training")
    parser.add_argument("--bits", type=int, nargs="+", choices=range(2, 17), metavar="2..16", help="bits of the weights of each layer")
    options = parser.parse_args()
    if bool(options.weights) != bool(options.bits):
        parser.error("--weights and --bits go together")
    images, labels = data.training()
    if options.weights:
        layers = [(rounded(weight, bits=bits), bias) for (weight, bias), bits in zip(network.load(options.weights), options.bits, strict=True)]
    else:
        classifier = MLPClassifier(**PARAMETERS)
        with threadpool_limits(limits=1):
            classifier.fit(images, labels)
        layers = list(zip(classifier.coefs_, classifier.intercepts_, strict=True))
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    network.save(layers, folder / network.FILE)
    _write(
        folder / "parameters.json",
        {
            "model": MODEL,
            "version": options.version,
            "algorithm": "sklearn.neural_network.MLPClassifier",
            "library": f"scikit-learn {sklearn.__version__}",
            "parameters": PARAMETERS,
            "bits": options.bits or [32] * len(layers),
            "dataset": {"name": "sklearn.datasets.load_digits", "images": len(labels), "digest": data.digest(images, labels)},
        },
    )
    _write(
        folder / "model-settings.json",
        {
            "name": MODEL,
            "implementation": "serving.Digits",
            "parameters": {"uri": f"./{network.FILE}", "version": options.version},
        },
    )


def rounded(tensor: np.ndarray, *, bits: int) -> np.ndarray:
    """Round weights (inputs x outputs) to 2^bits evenly spaced values for each input: from its smallest to its largest, without outliers where bits are few."""
    clipped = CLIPPED if bits < FINE_BITS else 0.0
    low = np.quantile(tensor, clipped, axis=1, keepdims=True)
    high = np.quantile(tensor, 1 - clipped, axis=1, keepdims=True)
    # A pixel that is white in every image has weights that are all the same.
    step = np.maximum((high - low) / (2**bits - 1), np.finfo(tensor.dtype).tiny)
    result: np.ndarray = low + step * np.clip(np.round((tensor - low) / step), 0, 2**bits - 1)
    return result


def _write(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
