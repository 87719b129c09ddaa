"""The report as JUnit XML: a suite a host, a case an item. Broken is a failure, not seen and not available are skipped."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as ET

from audit.engine import Result
from audit.probes import UNLOOKED


def written(results: Sequence[Result], problems: Sequence[str], path: Path) -> None:
    """Write the results to ``path``; each sentence on a host that could not be audited is an error of its own."""
    root = ET.Element("testsuites")
    for host, group in groupby(results, key=lambda result: result.host):
        _suite(root, host, list(group))
    for problem in problems:
        suite = ET.SubElement(root, "testsuite", name="audit", tests="1", errors="1")
        case = ET.SubElement(suite, "testcase", classname="audit", name="could-not-run")
        ET.SubElement(case, "error", message=problem)
    ET.indent(root)
    path.write_bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")


def _suite(root: ET.Element, host: str, rows: Sequence[Result]) -> None:
    suite = ET.SubElement(
        root,
        "testsuite",
        name=host,
        tests=str(len(rows)),
        failures=str(sum(result.state == "broken" for result in rows)),
        skipped=str(sum(result.state in UNLOOKED for result in rows)),
        time=f"{sum(result.seconds for result in rows):.3f}",
    )
    for result in rows:
        case = ET.SubElement(
            suite, "testcase", classname=result.defence_id, name=result.item, time=f"{result.seconds:.3f}"
        )
        if result.state == "broken":
            failure = ET.SubElement(case, "failure", message=f"{result.title}: broken")
            failure.text = f"wanted: {result.wanted}\nseen: {result.seen}"
        elif result.state != "held":
            ET.SubElement(case, "skipped", message=result.why)
