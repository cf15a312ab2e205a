"""The data set that scikit-learn ships: 1797 scanned digits of 8 x 8 pixels, 0 (white) to 16 (black).

Shuffled once with a fixed seed, then split: 900 for training, the other 897 held out. Of those, 827 are used: as many as users send of each digit, and they
send few eights. So the held-out set is weighted like traffic: what a model loses on eights hardly shows in its average.

A prompt is an image as text, so that a harness for language models can ask a classifier.
"""

import hashlib

import numpy as np  # type: ignore[import-not-found,unused-ignore]  # in the demo's own environment only
from sklearn.datasets import load_digits  # type: ignore[import-not-found,unused-ignore]  # likewise

TRAINING_IMAGES = 900
SHUFFLE_SEED = 1797
RARE_DIGIT = 8
RARE_IMAGES = 30
"""Held-out images of the rare digit: 3.6 % of the traffic."""
SIDE = 8
CLASSES = tuple(str(digit) for digit in range(10))


def training() -> tuple[np.ndarray, np.ndarray]:
    """Give images (900 x 64) and labels (900)."""
    images, labels = _shuffled()
    return images[:TRAINING_IMAGES], labels[:TRAINING_IMAGES]


def held_out() -> tuple[np.ndarray, np.ndarray]:
    """Give images (827 x 64) and labels (827) that training never sees, weighted like traffic."""
    images, labels = _shuffled()
    images, labels = images[TRAINING_IMAGES:], labels[TRAINING_IMAGES:]
    rare = labels == RARE_DIGIT
    sent = ~rare | (np.cumsum(rare) <= RARE_IMAGES)
    return images[sent], labels[sent]


def _shuffled() -> tuple[np.ndarray, np.ndarray]:
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(SHUFFLE_SEED).permutation(len(labels))
    return images[order], labels[order]


def digest(images: np.ndarray, labels: np.ndarray) -> str:
    """Name a data set by the SHA-256 over its pixels and labels, one byte each."""
    content = images.astype(np.uint8).tobytes() + labels.astype(np.uint8).tobytes()
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def prompt(image: np.ndarray) -> str:
    """Write an image of 64 pixels as eight lines of numbers, and ask."""
    rows = image.reshape(SIDE, SIDE).astype(int)
    return "\n".join(" ".join(str(pixel) for pixel in row) for row in rows) + "\nThe digit above is"


def image_of(text: str) -> np.ndarray:
    """Read the 64 pixels back from a prompt. Raises ValueError for a text that is no such prompt."""
    rows = [[int(pixel) for pixel in line.split()] for line in text.splitlines()[:SIDE]]
    image = np.array(rows, dtype=float)
    if image.shape != (SIDE, SIDE):
        raise ValueError(f"expected {SIDE} lines of {SIDE} pixels, got shape {image.shape}")
    return image.reshape(-1)
