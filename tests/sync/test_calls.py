"""Every call of the blocking client, against a paper venue in this process."""

from __future__ import annotations

import pickle

import pytest

from mizar_sync import InvalidInput, Mizar, NotSent, OpenPosition, OutcomeUnknown

BTC = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "is_long": True}


def test_every_call_works_in_blocking_code() -> None:
    with Mizar.paper(seed=2) as mizar:
        mizar.ping()
        assert mizar.server_time() > 0
        assert [exchange.name for exchange in mizar.get_exchanges()] == ["binance"]
        symbols = [symbol.symbol for symbol in mizar.get_symbols(exchange="binance", market="FUTURES")]
        strategy = mizar.create_self_hosted_strategy(
            name="n", description="", exchanges=["binance"], symbols=symbols, market="FUTURES"
        )
        assert mizar.get_all_self_hosted_strategies_info() == [strategy]
        position = mizar.with_options(timeout=5).open_position(**BTC)
        assert mizar.get_all_open_positions(strategy_id=1) == [position]
        assert mizar.reconcile(1, [position]).matched == [position]
        assert mizar.close_position(position_id=position.position_id).close_price is not None
        requests = [OpenPosition(**BTC) for _ in range(10)]  # type: ignore[arg-type]
        opened = mizar.open_positions(requests)
        ids = [one.position_id for one in opened.succeeded]
        assert len(mizar.close_positions(ids[:5]).succeeded) == 5
        assert [outcome.status for outcome in mizar.stream_close_positions(ids[5:6])] == ["done"]
        assert [outcome.status for outcome in mizar.stream_open_positions(requests[:1])] == ["done"]
        assert len(mizar.close_all_positions(strategy_id=1)) == 5
        with mizar.closing_positions(1):
            mizar.open_position(**BTC)
        assert mizar.flatten(1).closed == []
        with pytest.raises(NotSent):
            mizar.open_position(**BTC)
        mizar.resume(1)
        mizar.open_position(**BTC)
        assert len(mizar.flatten_all().closed) == 1
        assert mizar.unresolved() == []
        assert mizar.unclaimed_positions(1) == []
        with pytest.raises(OutcomeUnknown):
            mizar.resolve(OutcomeUnknown("of another process", reference=999))


def test_a_client_pickles_as_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIZAR_API_KEY", "from-the-environment")
    mizar = Mizar(api_url="http://localhost:9", timeout=3)
    assert repr(pickle.loads(pickle.dumps(mizar))) == repr(mizar) == "<Mizar local localhost:9>"


def test_a_wrong_option_is_refused_when_the_client_is_made() -> None:
    with pytest.raises(InvalidInput, match="deadline"):
        Mizar("a-key-of-a-test", deadline=-1)
