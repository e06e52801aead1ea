"""An evaluation as JUnit XML, for CI servers."""

from pathlib import Path
from xml.etree import ElementTree

from tierline.base.errors import UsageError
from tierline.base.json_text import JSON
from tierline.evaluation.summary import low_of

GOOD = ("ship", "default")


def write_junit(path: Path, evaluation: JSON, fail_under: float | None) -> None:
    """Write a suite with a case for each tier. A case fails if its verdict is not good, or with
    `fail_under` if its lower bound is below that. Raises UsageError if the file cannot be written.
    """
    feature = evaluation["feature"]
    suite = ElementTree.Element("testsuite", name=f"tierline eval {feature}")
    failures = 0
    for one in evaluation["result"]["compared"]:
        case = ElementTree.SubElement(suite, "testcase", classname=feature, name=one["tier"])
        good = one["verdict"] in GOOD if fail_under is None else low_of(one) >= fail_under
        if not good:
            failures += 1
            failure = ElementTree.SubElement(case, "failure", message=one["reason"])
            failure.text = f"{one['verdict']}: {one['reason']}"
    suite.set("tests", str(len(evaluation["result"]["compared"])))
    suite.set("failures", str(failures))
    try:
        path.write_bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
