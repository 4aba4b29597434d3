"""From charts to what a browser draws, and to PNG and SVG: vl-convert does both, without a browser or a network."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import zlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import vl_convert

from estab.report.html.charts.style import COLOURS, MOST_KEPT, STATIC_WIDTH
from estab.report.html.table import PlotTable

_VEGA_LITE = "6.4"
# Only Vega would be needed, since charts are compiled here. But vl-convert hands out `vega` as its default export,
# which is null since Vega 6; vega-embed holds the real one, and that costs 0.3 MB more.
_SNIPPET = "window.vegaEmbed = vegaEmbed;"
_END = "\n/* whole */\n"
_VARIABLE = re.compile(r"var\(--(\w+)\)")


def compiled(chart: dict[str, Any]) -> dict[str, Any]:
    """A Vega-Lite chart as Vega."""
    made: dict[str, Any] = json.loads(_compiled(json.dumps(chart)))
    return made


@functools.lru_cache(maxsize=MOST_KEPT)
def _compiled(chart: str) -> str:
    """The same as texts: a page that is thinned asks for its charts again."""
    made = vl_convert.vegalite_to_vega(chart, vl_version=_VEGA_LITE)
    made.pop("$schema", None)
    return json.dumps(made)


@functools.cache
def bundle() -> str:
    """Vega as one script that can stand in a page.

    It is the same for every page of one vl-convert and takes a second to make: so it is kept in the user's cache.
    """
    kept = _cache() / f"vega-{metadata.version('vl-convert-python')}-{zlib.crc32(_SNIPPET.encode()):08x}.js"
    with contextlib.suppress(OSError, UnicodeError):
        script = kept.read_text(encoding="utf-8")
        if script.endswith(_END):  # whole
            return script
    script = vl_convert.javascript_bundle(_SNIPPET, vl_version=_VEGA_LITE)
    script = script.replace("</script", "<\\/script").replace("<!--", "\\x3c!--") + _END
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(f".{os.getpid()}")
        unfinished.write_text(script, encoding="utf-8")
        unfinished.replace(kept)
    return script


def _cache() -> Path:
    """Where this user keeps what can be made anew (XDG Base Directory Specification)."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(named) if os.path.isabs(named) else Path(os.path.expanduser("~/.cache"))) / "estab"


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
