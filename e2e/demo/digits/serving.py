"""What MLServer runs: the classifier behind the Open Inference Protocol. It lies in the model server's image, next to `network.py`."""

from pathlib import Path

import network  # type: ignore[import-not-found,unused-ignore]  # both files lie in one folder of the image
import numpy as np  # type: ignore[import-not-found,unused-ignore]
from mlserver import MLModel  # type: ignore[import-not-found,unused-ignore]
from mlserver.codecs import NumpyCodec  # type: ignore[import-not-found,unused-ignore]
from mlserver.types import InferenceRequest, InferenceResponse  # type: ignore[import-not-found,unused-ignore]
from mlserver.utils import get_model_uri  # type: ignore[import-not-found,unused-ignore]


class Digits(MLModel):  # type: ignore[misc,unused-ignore]
    """Reads digits: images x 64 pixels in, the likeliest digit of each out."""

    async def load(self) -> bool:
        """Read the weights, again when the server is asked to load the model again."""
        self._layers = network.load(Path(await get_model_uri(self.settings)))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request. What does not have the shape of images is the caller's mistake, and the server says so."""
        images = NumpyCodec.decode_input(payload.inputs[0])
        digits = network.log_probabilities(self._layers, images).argmax(axis=1).astype(np.int64)
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[NumpyCodec.encode_output("predict", digits)])
