"""Altair charts, one function a plot. They name tables and columns; the numbers themselves are put in by the page.

No text of a record ever stands in a chart's expressions: it is data, which Vega draws and never runs.
"""
