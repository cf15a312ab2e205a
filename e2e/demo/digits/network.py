"""The classifier as it is served and evaluated: its weights are tensors and nothing else.

scikit-learn trains it, and would keep it as a pickle: a program that whoever changes the file may choose, and a second of imports wherever it is read.
`safetensors` holds numbers only. `layer.N.weight` (inputs x outputs) and `layer.N.bias` (outputs) are FP32, from the first layer to the last.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np  # type: ignore[import-not-found,unused-ignore]
from safetensors.numpy import load_file, save_file  # type: ignore[import-not-found,unused-ignore]  # in the demo's environments only

FILE = "model.safetensors"


def save(layers: Sequence[tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """Write weights and biases of all layers. The same numbers make the same bytes."""
    tensors = {}
    for number, (weight, bias) in enumerate(layers):
        tensors[f"layer.{number}.weight"] = np.ascontiguousarray(weight, dtype=np.float32)
        tensors[f"layer.{number}.bias"] = np.ascontiguousarray(bias, dtype=np.float32)
    save_file(tensors, path)


def load(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Read what `save` wrote."""
    tensors = load_file(path)
    return [(tensors[f"layer.{number}.weight"], tensors[f"layer.{number}.bias"]) for number in range(len(tensors) // 2)]


def log_probabilities(layers: Sequence[tuple[np.ndarray, np.ndarray]], images: np.ndarray) -> np.ndarray:
    """Give each image (images x pixels) the log probability of each class (images x classes): rectified linear units, then softmax."""
    values = images.astype(np.float32)
    *hidden, (weight, bias) = layers
    for inner, shift in hidden:
        values = np.maximum(values @ inner + shift, 0)
    scores = values @ weight + bias
    scores = scores - scores.max(axis=1, keepdims=True)
    result: np.ndarray = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return result
