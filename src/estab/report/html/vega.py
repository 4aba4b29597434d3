"""From charts to what a browser draws, and to PNG and SVG: vl-convert does both, without a browser or a network."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from typing import Any

import vl_convert

from estab.report.html.charts.style import COLOURS, STATIC_WIDTH
from estab.report.html.table import Table

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
    found = vl_convert.javascript_bundle(_SNIPPET, vl_version=_VEGA_LITE)
    return found.replace("</script", "<\\/script").replace("<!--", "\\x3c!--")


def png(chart: dict[str, Any], tables: Sequence[Table], *, scale: float = 2.0) -> bytes:
    """The plot on white, `STATIC_WIDTH` wide times `scale`."""
    return vl_convert.vegalite_to_png(_still(chart, tables), vl_version=_VEGA_LITE, scale=scale)


def svg(chart: dict[str, Any], tables: Sequence[Table]) -> str:
    """The plot on white as SVG."""
    return vl_convert.vegalite_to_svg(_still(chart, tables), vl_version=_VEGA_LITE)


def _still(chart: dict[str, Any], tables: Sequence[Table]) -> dict[str, Any]:
    """With its numbers in it, in the colours for paper and with a width of its own."""
    text = _VARIABLE.sub(lambda found: COLOURS[found[1]][0], json.dumps(chart))
    made: dict[str, Any] = json.loads(text)
    made["width"] = STATIC_WIDTH
    made["datasets"] = {one.name: list(Table(one.name, one.data()).rows()) for one in tables}
    made["config"] = {**made["config"], "background": "#ffffff", "padding": 16}
    return made
