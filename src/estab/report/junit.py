"""A comparison as JUnit XML, the form that CI services show: a test case for each term of the gate."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from estab.records.comparison import Comparison
from estab.report.compare_words import summary

# What XML 1.0 can't hold at all, escaped or not (section 2.2, Char).
_NEVER = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SUITE = "estab compare"


def junit(comparison: Comparison, said: str = "") -> bytes:
    """The XML, UTF-8. A suite without a gate has one case, which passes. `said` becomes the suite's output."""
    fired = sum(term.fired for term in comparison.gate)
    suites = ElementTree.Element(
        "testsuites", name=SUITE, tests=str(len(comparison.gate) or 1), failures=str(fired), errors="0"
    )
    suite = ElementTree.SubElement(
        suites,
        "testsuite",
        name=SUITE,
        tests=str(len(comparison.gate) or 1),
        failures=str(fired),
        errors="0",
        skipped="0",
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, text in (("A", comparison.a.name), ("B", comparison.b.name), ("summary", summary(comparison))):
        ElementTree.SubElement(properties, "property", name=name, value=_clean(text))
    for term in comparison.gate:
        case = ElementTree.SubElement(suite, "testcase", classname=SUITE, name=_clean(term.term))
        if term.fired:
            failure = ElementTree.SubElement(case, "failure", message=_clean(term.reason), type="regression")
            failure.text = _clean(f"{term.term}: {term.reason}")
    if not comparison.gate:
        ElementTree.SubElement(suite, "testcase", classname=SUITE, name="compared, without --fail-on")
    if said:
        ElementTree.SubElement(suite, "system-out").text = _clean(said)
    ElementTree.indent(suites)
    data: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def _clean(text: str) -> str:
    return _NEVER.sub("?", text)
