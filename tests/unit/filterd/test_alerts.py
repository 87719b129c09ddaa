"""One alert when a part begins to fail, and one word when it works again."""

from filterd.alerts import QUIET_S, Alerts, MailRate


def test_a_part_that_fails_is_one_alert_until_it_has_worked_for_a_while() -> None:
    alerts = Alerts()
    opened = alerts.noted("worker 1", "clamd", "away", 100.0)
    assert opened is not None
    assert (opened.component, opened.problem) == ("clamd", "away")
    for now in (101.0, 105.0):
        assert alerts.noted("worker 1", "clamd", "still away", now) is None
        assert alerts.noted("worker 2", "clamd", "away", now) is None
    assert alerts.noted("worker 1", "clamd", "", 106.0) is None
    assert alerts.over(200.0) == []  # the other worker says that it fails
    assert [one.component for one in alerts.open] == ["clamd"]
    alerts.noted("worker 2", "clamd", "", 107.0)
    assert alerts.over(105.0 + QUIET_S - 1) == []
    (over,) = alerts.over(105.0 + QUIET_S)
    assert over.over
    assert over.component == "clamd"
    assert alerts.open == ()
    assert alerts.over(1000.0) == []
    assert alerts.noted("worker 1", "clamd", "away", 1001.0) is not None


def test_a_part_that_comes_and_goes_stays_one_alert() -> None:
    alerts = Alerts()
    assert alerts.noted("a", "spamd", "x", 0.0) is not None
    for turn in range(1, 10):
        now = turn * (QUIET_S - 1)
        alerts.noted("a", "spamd", "", now - 1)
        assert alerts.over(now) == []
        assert alerts.noted("a", "spamd", "x", now) is None


def test_a_worker_that_has_gone_keeps_no_alert_open() -> None:
    alerts = Alerts()
    alerts.noted("a", "spool", "full", 0.0)
    alerts.gone("a")
    assert [one.component for one in alerts.over(QUIET_S)] == ["spool"]


def test_what_works_makes_no_part_and_parts_are_bounded() -> None:
    alerts = Alerts()
    assert alerts.noted("a", "clamd", "", 0.0) is None
    assert sum(alerts.noted("a", f"part {number}", "x", 0.0) is not None for number in range(200)) == 64


def test_mails_are_few_about_a_part_and_in_all() -> None:
    rate = MailRate()
    assert rate.take("clamd", 0.0)
    assert not rate.take("clamd", 60.0)
    assert rate.take("clamd", 901.0)
    assert sum(rate.take(f"part {number}", 902.0) for number in range(50)) == 10
    assert rate.take("part 49", 902.0 + 3600.0)
