"""An answer is checked against what was asked: one that names something else is a doubt, and never a result."""

from __future__ import annotations

from typing import Any

import pytest

from mizar_async import AsyncMizar, NotOpened, OutcomeUnknown, Position

from ..scripted_venue import ScriptedVenue

BTC: dict[str, Any] = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "size": 0.3, "is_long": True}

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def scripted() -> ScriptedVenue:
    return ScriptedVenue()


def answering(scripted: ScriptedVenue, **changes: object) -> Any:
    """Open what was asked for, and answer something else."""

    def answer(ask: dict[str, Any]) -> tuple[int, object]:
        status, position = scripted.act("open-position", ask)
        assert isinstance(position, dict)
        return status, position | changes

    return answer


async def opened(mizar: AsyncMizar, scripted: ScriptedVenue, **changes: object) -> Position:
    """Open a first position, then one whose answer is changed."""
    await mizar.open_position(**BTC)
    scripted.script["open-position"] = [answering(scripted, **changes)]
    return await mizar.open_position(**BTC)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"position_id": "1"}, id="another call's position"),
        pytest.param({"base_asset": "ETH"}, id="another pair"),
        pytest.param({"is_long": False}, id="the other side"),
        pytest.param({"size": 0.31}, id="another size"),
        pytest.param({"strategy_id": "2"}, id="another strategy"),
    ],
)
async def test_an_open_answered_with_something_else_is_looked_up(
    scripted: ScriptedVenue, changes: dict[str, object]
) -> None:
    async with scripted.client() as mizar:
        position = await opened(mizar, scripted, **changes)
        assert (position.position_id, position.base_asset, position.is_long, float(position.size)) == (
            2,
            "BTC",
            True,
            0.3,
        )
        assert scripted.asked.count("open-position") == 2
        assert mizar.unresolved() == mizar.unclaimed_positions(1) == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"base_asset": "btc", "quote_asset": "usdt"}, id="a pair in another case"),
        pytest.param({"size": 0.3001}, id="a size that was rounded"),
        pytest.param({"size": "NaN"}, id="a size that is none"),
        pytest.param({"strategy_id": "`"}, id="a strategy that can't be read"),
        pytest.param({"open_price": "0"}, id="a price that is none"),
        pytest.param({"colour": "blue"}, id="a field nobody knows"),
    ],
)
async def test_what_an_answer_garbles_or_leaves_out_is_no_mismatch(
    scripted: ScriptedVenue, changes: dict[str, object]
) -> None:
    async with scripted.client() as mizar:
        assert (await opened(mizar, scripted, **changes)).position_id == 2
        assert "all-open-positions" not in scripted.asked[scripted.asked.index("open-position") :]


async def test_an_answer_that_names_a_closed_position_is_looked_up(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        first = await mizar.open_position(**BTC)
        await mizar.close_position(position_id=first.position_id)
        scripted.script["open-position"] = [answering(scripted, position_id="1")]
        assert (await mizar.open_position(**BTC)).position_id == 2
        assert mizar.unclaimed_positions(1) == []


async def test_an_answer_that_a_proxy_repeats_without_passing_the_open_on_is_no_position(
    scripted: ScriptedVenue,
) -> None:
    async with scripted.client(deadline=10) as mizar:
        first = await mizar.open_position(**BTC)
        scripted.script["open-position"] = [lambda _: (200, first.to_dict())]
        with pytest.raises(NotOpened):
            await mizar.open_position(**BTC)


async def test_answers_exchanged_between_two_opens_leave_each_with_its_own(scripted: ScriptedVenue) -> None:
    async with scripted.client() as mizar:
        await mizar.open_position(**BTC)
        ether = {"position_id": "3", "base_asset": "ETH"}
        scripted.script["open-position"] = [answering(scripted, **ether), "lost"]
        bitcoin = await mizar.open_position(**BTC)
        other = await mizar.open_position(**(BTC | {"base_asset": "ETH"}))
        assert (bitcoin.position_id, bitcoin.base_asset) == (2, "BTC")
        assert (other.position_id, other.base_asset) == (3, "ETH")


async def test_a_side_is_no_mismatch_on_spot(scripted: ScriptedVenue) -> None:
    spot = {"strategy_id": 1, "name": "n", "exchange": "binance", "market": "SPOT", "symbols": []}
    scripted.script["self-hosted-strategy-info"] = [lambda _: (200, {"strategies": [spot]})]
    async with scripted.client() as mizar:
        await mizar.get_all_self_hosted_strategies_info()
        assert (await opened(mizar, scripted, is_long=False)).position_id == 2
        assert not mizar.unresolved()


@pytest.mark.parametrize("changes", [{"position_id": "9"}, {"base_asset": "ETH"}, {"strategy_id": "2"}])
async def test_a_close_answered_with_something_else_is_a_doubt(
    scripted: ScriptedVenue, changes: dict[str, object]
) -> None:
    async with scripted.client(max_retries=0, grace=0.1) as mizar:
        await mizar.open_position(**BTC)

        def wrong(ask: dict[str, Any]) -> tuple[int, object]:
            return 200, ScriptedVenue.closed(scripted.open[ask["position_id"]]) | changes

        scripted.script["close-position"] = [wrong]
        with pytest.raises(OutcomeUnknown):
            await mizar.close_position(position_id=1)
        assert list(scripted.open) == [1]
        await mizar.close_position(position_id=1)
        assert not scripted.open


async def test_a_close_all_believes_only_what_is_of_its_strategy_and_pair(scripted: ScriptedVenue) -> None:
    async with scripted.client(deadline=5) as mizar:
        mine = await mizar.open_position(**BTC)
        other = await mizar.open_position(**(BTC | {"base_asset": "ETH"}))

        def lying(_: object) -> tuple[int, object]:
            return 200, {"closed_positions": [ScriptedVenue.closed(row) for row in scripted.open.values()]}

        scripted.script["close-all-positions"] = [lying]
        closed = await mizar.close_all_positions(strategy_id=1, base_asset="BTC", quote_asset="USDT")
        assert [position.position_id for position in closed] == [mine.position_id]
        report = await mizar.flatten(1, deadline=5)
        assert other.position_id in {position.position_id for position in report.closed}
        assert not scripted.open


async def test_a_position_of_another_strategy_is_not_believed_though_its_answer_garbles_the_strategy(
    scripted: ScriptedVenue,
) -> None:
    async with scripted.client() as mizar:
        await mizar.open_position(**BTC)
        await mizar.open_position(**(BTC | {"strategy_id": 2}))
        plain = scripted.act

        def of_strategy(call: str, ask: dict[str, Any]) -> tuple[int, object]:
            if call == "all-open-positions":
                return 200, {"open_positions": [row for row in scripted.open.values() if row["strategy_id"] == 2]}
            return plain(call, ask)

        scripted.act = of_strategy  # type: ignore[method-assign]
        scripted.script["open-position"] = [answering(scripted, position_id="1", strategy_id="`")]
        assert (await mizar.open_position(**(BTC | {"strategy_id": 2}))).position_id == 3


async def test_a_close_that_a_proxy_answers_with_words_of_its_own_is_a_doubt_and_repeated(
    scripted: ScriptedVenue,
) -> None:
    async with scripted.client() as mizar:
        await mizar.open_position(**BTC)
        scripted.script["close-position"] = [lambda _: (200, {"message": "maintenance"})]
        assert (await mizar.close_position(position_id=1)).close_price == 110
        assert not scripted.open


@pytest.mark.parametrize("words", [{}, {"message": "maintenance"}])
async def test_an_open_that_a_proxy_answers_with_words_of_its_own_is_looked_up(
    scripted: ScriptedVenue, words: dict[str, str]
) -> None:
    async with scripted.client(deadline=10) as mizar:
        await mizar.open_position(**BTC)
        scripted.script["open-position"] = [lambda _: (200, words)]
        with pytest.raises(NotOpened):
            await mizar.open_position(**BTC)


@pytest.mark.parametrize("number", [10**20, 10**400, -(10**400)])
async def test_a_time_that_is_none_is_unknown_and_loses_no_position(scripted: ScriptedVenue, number: int) -> None:
    async with scripted.client() as mizar:
        position = await opened(mizar, scripted, open_timestamp=number)
        assert (position.position_id, position.open_timestamp) == (2, None)


@pytest.mark.parametrize("number", [10**20, 10**400])
async def test_an_id_that_can_be_none_is_looked_up(scripted: ScriptedVenue, number: int) -> None:
    async with scripted.client() as mizar:
        assert (await opened(mizar, scripted, position_id=number)).position_id == 2
