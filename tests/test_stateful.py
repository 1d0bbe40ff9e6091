"""Any order of opens, closes, lists and close-alls: the client, the venue and a simple model agree."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from mizar_async import AsyncMizar, Conflict, Position

PAIRS = st.sampled_from([("BTC", "USDT"), ("ETH", "USDT")])


class Trading(RuleBasedStateMachine):
    """The model is a dictionary of what is open."""

    opened: Bundle[int] = Bundle("opened")
    closed: Bundle[int] = Bundle("closed")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.mizar = AsyncMizar.paper()
        self.open: dict[int, Position] = {}

    def teardown(self) -> None:
        self.runner.close()

    @initialize()
    def publish(self) -> None:
        self.runner.run(
            self.mizar.create_self_hosted_strategy(
                name="n", description="", exchanges=["binance"], symbols=["BTCUSDT", "ETHUSDT"], market="FUTURES"
            )
        )

    @rule(target=opened, pair=PAIRS, is_long=st.booleans(), size=st.sampled_from([1, 0.5, 0.01]))
    def open_one(self, pair: tuple[str, str], is_long: bool, size: float) -> int:
        base, quote = pair
        position = self.runner.run(
            self.mizar.open_position(strategy_id=1, base_asset=base, quote_asset=quote, size=size, is_long=is_long)
        )
        assert position.position_id not in self.open
        self.open[position.position_id] = position
        return position.position_id

    @rule(target=closed, position_id=consumes(opened))
    def close_one(self, position_id: int) -> int:
        if position_id in self.open:
            closed = self.runner.run(self.mizar.close_position(position_id=position_id))
            assert closed.open_price == self.open.pop(position_id).open_price
        return position_id

    @rule(position_id=closed)
    def close_again(self, position_id: int) -> None:
        try:
            self.runner.run(self.mizar.close_position(position_id=position_id))
        except Conflict:
            return
        raise AssertionError("a closed position was closed again")

    @rule(pair=st.none() | PAIRS)
    def close_all(self, pair: tuple[str, str] | None) -> None:
        base, quote = pair or (None, None)
        closed = self.runner.run(self.mizar.close_all_positions(strategy_id=1, base_asset=base, quote_asset=quote))
        expected = {pid for pid, one in self.open.items() if pair in {None, (one.base_asset, one.quote_asset)}}
        assert {position.position_id for position in closed} == expected
        for position_id in expected:
            del self.open[position_id]

    @invariant()
    def the_list_is_what_is_open(self) -> None:
        listed = self.runner.run(self.mizar.get_all_open_positions(strategy_id=1))
        assert listed == [self.open[position_id] for position_id in sorted(self.open)]
        assert self.mizar.unclaimed_positions(1) == []


TestTrading = pytest.mark.usefixtures("unmeasured")(Trading.TestCase)
TestTrading.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
