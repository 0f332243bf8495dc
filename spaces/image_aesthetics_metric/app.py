"""Page of the metric: paste rating distributions, read the metrics. Knows nothing about models or pictures."""

import json
from pathlib import Path

import gradio as gr
from evaluate.utils import parse_readme
from image_aesthetics_metric import ImageAestheticsMetric


EXAMPLE = [
    "[[0.1, 0.2, 0.4, 0.2, 0.1], [0.0, 0.1, 0.3, 0.4, 0.2], [0.3, 0.4, 0.2, 0.1, 0.0], [0.0, 0.1, 0.2, 0.4, 0.3]]",
    "[[0.1, 0.3, 0.4, 0.1, 0.1], [0.0, 0.1, 0.4, 0.3, 0.2], [0.4, 0.4, 0.1, 0.1, 0.0], [0.0, 0.0, 0.1, 0.5, 0.4]]",
]


def compute(predictions: str, references: str) -> list[list[str]]:
    """Computes every metric of two JSON lists of rating distributions, one distribution a picture."""
    try:
        metrics = ImageAestheticsMetric().compute(
            predictions=json.loads(predictions), references=json.loads(references)
        )
    except json.JSONDecodeError as error:
        message = f"Both fields must be JSON lists of lists, got something else ({error}). Start from the example."
        raise gr.Error(message, print_exception=False) from error
    except (TypeError, ValueError) as error:
        raise gr.Error(str(error), print_exception=False) from error
    return [[key, f"{value:.6g}"] for key, value in (metrics or {}).items()]


demo = gr.Interface(
    fn=compute,
    inputs=[gr.Textbox(label="Predictions", lines=4), gr.Textbox(label="References", lines=4)],
    outputs=gr.Dataframe(headers=["metric", "value"], label="Metrics"),
    examples=[EXAMPLE],
    cache_examples=False,
    title="Image aesthetics metric",
    description="One rating distribution a picture, lowest rating first, as a JSON list of lists.",
    article=parse_readme(Path(__file__).with_name("README.md")),
    flagging_mode="never",
)

if __name__ == "__main__":
    demo.launch()
