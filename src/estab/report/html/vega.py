"""From charts to what a browser draws, and to PNG and SVG: vl-convert does both, without a browser or a network."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from typing import Any

import vl_convert

from estab.report.html.charts.style import COLOURS, STATIC_WIDTH
from estab.report.html.table import PlotTable

_VEGA_LITE = "6.4"
# Only Vega would be needed, since charts are compiled here. But vl-convert hands out `vega` as its default export,
# which is null since Vega 6; vega-embed holds the real one, and that costs 0.3 MB more.
_SNIPPET = "window.vegaEmbed = vegaEmbed;"
_VARIABLE = re.compile(r"var\(--(\w+)\)")


def compiled(chart: dict[str, Any]) -> dict[str, Any]:
    """A Vega-Lite chart as Vega."""
    made = vl_convert.vegalite_to_vega(chart, vl_version=_VEGA_LITE)
    made.pop("$schema", None)
    return made


@functools.cache
def bundle() -> str:
    """Vega as one script that can stand in a page."""
    script = vl_convert.javascript_bundle(_SNIPPET, vl_version=_VEGA_LITE)
    return script.replace("</script", "<\\/script").replace("<!--", "\\x3c!--")


def png(chart: dict[str, Any], tables: Sequence[PlotTable], *, scale: float = 2.0) -> bytes:
    """The plot on white, `STATIC_WIDTH` wide times `scale`."""
    return vl_convert.vegalite_to_png(_still(chart, tables), vl_version=_VEGA_LITE, scale=scale)


def svg(chart: dict[str, Any], tables: Sequence[PlotTable]) -> str:
    """The plot on white as SVG."""
    return vl_convert.vegalite_to_svg(_still(chart, tables), vl_version=_VEGA_LITE)


def _still(chart: dict[str, Any], tables: Sequence[PlotTable]) -> dict[str, Any]:
    """With its numbers in it, in the colours for paper and with a width of its own."""
    text = _VARIABLE.sub(lambda match: COLOURS[match[1]][0], json.dumps(chart))
    made: dict[str, Any] = json.loads(text)
    made["width"] = STATIC_WIDTH
    made["datasets"] = {table.name: list(PlotTable(table.name, table.data()).rows()) for table in tables}
    made["config"] = {**made["config"], "background": "#ffffff", "padding": 16}
    return made
