"""A comparison as JUnit XML, the form that CI services show: a test case for each term of the gate."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from estab.records.comparison import Comparison
from estab.report.compare_words import summary

# What XML 1.0 can't hold at all, escaped or not (section 2.2, Char).
_NEVER = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SUITE = "estab compare"


def junit(found: Comparison, said: str = "") -> bytes:
    """The XML, UTF-8. A suite without a gate has one case, which passes. `said` becomes the suite's output."""
    fired = sum(one.fired for one in found.gate)
    suites = ElementTree.Element(
        "testsuites", name=SUITE, tests=str(len(found.gate) or 1), failures=str(fired), errors="0"
    )
    suite = ElementTree.SubElement(
        suites, "testsuite", name=SUITE, tests=str(len(found.gate) or 1), failures=str(fired), errors="0", skipped="0"
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, text in (("A", found.a.name), ("B", found.b.name), ("summary", summary(found))):
        ElementTree.SubElement(properties, "property", name=name, value=_clean(text))
    for one in found.gate:
        case = ElementTree.SubElement(suite, "testcase", classname=SUITE, name=_clean(one.term))
        if one.fired:
            failure = ElementTree.SubElement(case, "failure", message=_clean(one.reason), type="regression")
            failure.text = _clean(f"{one.term}: {one.reason}")
    if not found.gate:
        ElementTree.SubElement(suite, "testcase", classname=SUITE, name="compared, without --fail-on")
    if said:
        ElementTree.SubElement(suite, "system-out").text = _clean(said)
    ElementTree.indent(suites)
    data: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def _clean(text: str) -> str:
    return _NEVER.sub("?", text)
