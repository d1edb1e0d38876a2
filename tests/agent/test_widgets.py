"""Widgets that a remote cell shows: pictures that follow them, and end as they do."""

from __future__ import annotations

from typing import Any

import ipywidgets
import plotly.graph_objects as go
import pytest
from helpers import eventually

from jupyter_cluster.agent.widgets import PICTURE, VIEW, Pictures, picture_of

pytestmark = pytest.mark.unit


class Notebook:
    """What has been displayed, by display id, each as it is last."""

    def __init__(self) -> None:
        self.shown: dict[str, dict[str, Any]] = {}
        self.notes: list[str] = []
        self.pictures = Pictures(self._display, self.notes.append)

    def _display(self, event: dict[str, Any]) -> None:
        assert event["update"] == (event["transient"]["display_id"] in self.shown)
        self.shown[event["transient"]["display_id"]] = event["data"]

    def show(self, widget: Any) -> None:
        event = {"type": "display", "data": widget._repr_mimebundle_(), "metadata": {}}
        self.pictures.show({**event, "transient": {}, "update": False})

    @property
    def texts(self) -> list[str]:
        return [data["text/plain"] for data in self.shown.values()]


def test_a_bar_moves_while_the_cell_runs_and_ends_where_it_ended() -> None:
    book = Notebook()
    bar, said = ipywidgets.IntProgress(max=3), ipywidgets.HTML("0%")
    book.show(ipywidgets.HBox([said, bar, ipywidgets.HTML("&lt;b&gt;")]))
    assert book.texts == ["0% <b>"]
    bar.value, said.value = 2, "66%"
    eventually(lambda: book.texts == ["66% <b>"])
    bar.value, said.value = 3, "100%"
    book.pictures.end()
    assert book.texts == ["100% <b>"]
    (data,) = book.shown.values()
    assert '<progress value="3" max="3">' in data["text/html"]
    assert VIEW not in data
    assert book.notes == [PICTURE]


def test_a_widget_that_was_closed_leaves_nothing() -> None:
    book = Notebook()
    box = ipywidgets.HBox([ipywidgets.Label("half way")])
    book.show(box)
    assert book.texts == ["half way"]
    box.close()
    book.pictures.end()
    assert book.texts == [""]


def test_what_has_no_picture_is_its_text_and_a_figure_its_data() -> None:
    slider = picture_of(ipywidgets.IntSlider(value=7)._repr_mimebundle_())
    assert list(slider) == ["text/plain"]
    assert slider["text/plain"].startswith("IntSlider(value=7")
    figure = picture_of(go.FigureWidget([{"y": [1, 2]}])._repr_mimebundle_())
    assert figure["application/vnd.plotly.v1+json"]["data"][0]["type"] == "scatter"
    assert VIEW not in figure


def test_a_view_of_an_unknown_model_leaves_the_rest() -> None:
    assert picture_of({VIEW: {"model_id": "gone"}, "text/plain": "said"}) == {"text/plain": "said"}


def test_a_widget_whose_repr_raises_is_said() -> None:
    class Odd(ipywidgets.IntSlider):
        def __repr__(self) -> str:
            raise SystemExit(3)

    book = Notebook()
    odd = Odd()
    event = {"type": "display", "data": {VIEW: {"model_id": odd.model_id}}, "metadata": {}}
    book.pictures.show({**event, "transient": {"display_id": "one"}, "update": False})
    book.pictures.end()
    assert book.texts == ["<repr() of this Odd raised SystemExit>"]
