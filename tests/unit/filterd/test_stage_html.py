import pytest

from filterd.findings import Verdict
from filterd.stages import CONTENT, html
from tests.unit.filterd.pages import Opened


def test_ids_and_classes() -> None:
    assert html.STAGE in CONTENT
    assert all(rule.id.startswith("html.") for rule in html.STAGE.rules)
    over = {rule.id for rule in html.STAGE.rules if rule.verdict is Verdict.OVER_LIMIT}
    assert over == {"html.cost", "html.payloads"}


def test_only_what_no_ordinary_mail_has_counts() -> None:
    counting = {rule.id for rule in html.STAGE.rules if rule.mode == "on"}
    assert counting == {"html.smuggling", "html.cost", "html.payloads"}


@pytest.mark.parametrize("rule", [rule.id for rule in html.STAGE.rules])
def test_every_rule_can_be_met(rule: str) -> None:
    documents = {
        "html.script": "<script>x</script>",
        "html.event-handler": "<p onclick=x>",
        "html.script-url": "<a href=javascript:x>",
        "html.css-expression": "<p style=behavior:url(x)>",
        "html.form": "<form>",
        "html.iframe": "<iframe>",
        "html.object": "<object>",
        "html.meta-refresh": "<meta http-equiv=refresh content='0;url=x'>",
        "html.base-href": "<base href=//x.test>",
        "html.webbug": "<img src=//x.test width=0>",
        "html.remote-content": "<img src=//x.test>",
        "html.data-uri": "<a href=data:,x>",
        "html.data-document": "<a href='data:text/html,<script>'>",
        "html.script-long": "<script>" + "a='x'+a+'y';" * 400_000 + "</script>",
        "html.builds-file": "<a href=data:,x download>",
        "html.smuggling": "<a href='data:application/x-dosexec;base64,"
        + "TVqQAAMAAAAEAAAA" * 8
        + "' download>",
        "html.cost": "<div>" * 1001,
        "html.payloads": "".join(f"<a href=data:,number{number}>" for number in range(1001)),
    }
    assert rule in Opened(documents[rule]).rules
