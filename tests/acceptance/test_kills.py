"""P01: SIGKILL at random of any of filterd's processes, under traffic; `make chaos` does it for ten minutes."""

from tests.acceptance.gateway import GatewayHost
from tests.acceptance.outside import Outside
from tests.chaos import live


def test_whatever_of_filterd_is_killed_no_accepted_message_is_lost(
    wan: Outside, gateway: GatewayHost
) -> None:
    result = live.killing(wan, gateway, 30.0, seed=1)
    assert not result.wrong, result.wrong[:20]
    assert result.letters >= 10, result
    assert {"supervisor", "worker", "ledger", "cradle"} <= set(result.done), result


def test_whatever_of_the_mta_is_killed_no_accepted_message_is_lost(
    wan: Outside, gateway: GatewayHost
) -> None:
    result = live.killing_mta(wan, gateway, times=3)
    assert not result.wrong, result.wrong[:20]
    assert result.letters >= 10, result
