"""The library that draws figures: whether it is there, its text, and models in a page."""

import importlib.util
from typing import Any

from neuro_aws.errors import NeuroAWSError


def refuse_missing() -> None:
    """Say what to install where bokeh is missing."""
    if importlib.util.find_spec("bokeh") is None:
        raise NeuroAWSError(
            "needs bokeh, which is not installed",
            where="report",
            next_step="pip install 'neuro-aws[report]'",
        )


def text() -> str:
    """Return the text of BokehJS, which a page carries with it."""
    from bokeh.resources import Resources

    return str(Resources(mode="inline", components=["bokeh"]).js_raw[0])


def item(model: Any) -> Any:
    """Return a model as what BokehJS embeds."""
    from bokeh.embed import json_item

    return json_item(model)
