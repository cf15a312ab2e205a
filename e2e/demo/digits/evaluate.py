"""Evaluate the trained classifier with lm-eval on the images that training never saw.

`python -m e2e.demo.digits.evaluate MODEL_FOLDER OUTPUT_FOLDER` writes the harness's own `results_*.json`, unedited, and `held-out.jsonl`, the
questions it was asked. The harness is the real one; what is ours is the model adapter: each held-out image is a prompt, the ten digits are the choices,
and the log likelihood of a choice is the classifier's log probability of that class. No network: the task is a local file.
"""

import argparse
import json
from pathlib import Path

import numpy as np  # type: ignore[import-not-found,unused-ignore]  # in the demo's own environment only, like the next ones
from lm_eval import simple_evaluate  # type: ignore[import-not-found,unused-ignore]
from lm_eval.api.instance import Instance  # type: ignore[import-not-found,unused-ignore]
from lm_eval.api.model import LM  # type: ignore[import-not-found,unused-ignore]
from lm_eval.api.registry import register_model  # type: ignore[import-not-found,unused-ignore]
from lm_eval.loggers import EvaluationTracker  # type: ignore[import-not-found,unused-ignore]

from e2e.demo.digits import data, network

TASK = "digits"
ADAPTER = "classifier"


@register_model(ADAPTER)  # type: ignore[misc,untyped-decorator,unused-ignore]
class Classifier(LM):  # type: ignore[misc,unused-ignore]
    """A classifier of images, asked like a language model. Only multiple choice makes sense."""

    def __init__(self, model: str, folder: str, batch_size: int = 1, device: str | None = None) -> None:
        """Load the classifier in `folder`. `model` names it in the results; the harness passes the rest, which means nothing here."""
        super().__init__()
        del model, batch_size, device
        self._layers = network.load(Path(folder) / network.FILE)

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Give each (prompt, choice) the log probability of the class, and whether it is the likeliest."""
        images = np.stack([data.image_of(request.args[0]) for request in requests])
        chosen = np.array([data.CLASSES.index(request.args[1].strip()) for request in requests])
        scores = network.log_probabilities(self._layers, images)
        own = scores[np.arange(len(requests)), chosen]
        return [(float(score), bool(score == best)) for score, best in zip(own, scores.max(axis=1), strict=True)]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Refuse: a classifier has no likelihood of a text."""
        raise TypeError(f"a classifier cannot score {len(requests)} texts: use multiple-choice tasks")

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Refuse: a classifier writes no text."""
        raise TypeError(f"a classifier cannot continue {len(requests)} texts: use multiple-choice tasks")


def main() -> None:
    """Ask every question, and let the harness write its results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    output: Path = options.output
    output.mkdir(parents=True, exist_ok=True)
    settings = json.loads((options.model / "model-settings.json").read_text(encoding="utf-8"))
    questions = output / "held-out.jsonl"
    with questions.open("w", encoding="utf-8") as file:
        for image, label in zip(*data.held_out(), strict=True):
            file.write(json.dumps({"prompt": data.prompt(image), "label": int(label)}) + "\n")
    task = {
        "task": TASK,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(questions)}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "prompt",
        "doc_to_choice": list(data.CLASSES),
        "doc_to_target": "label",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1.0},
    }
    tracker = EvaluationTracker(output_path=str(output))
    results = simple_evaluate(
        model=ADAPTER,
        model_args=f"model={settings['name']}-{settings['parameters']['version']},folder={options.model}",
        tasks=[task],
        # Task hashes, which name the questions, are computed only with the samples at hand.
        log_samples=True,
        evaluation_tracker=tracker,
    )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)


if __name__ == "__main__":
    main()
