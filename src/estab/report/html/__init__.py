"""A report as one HTML page, and its plots as PNG and SVG. Needs the extra `estab[report]`: altair, vl-convert, jinja2.

`plots.py` (and `snapshots.py`, `labs.py`, `overview.py`) choose what is drawn, `charts/` how, `page.py` puts it into
`template/`. The tables that are drawn are the tables that are downloaded.
"""
