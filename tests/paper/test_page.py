"""What the page asks: closed positions, newest first and a page at a time, and the fees of all."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizar_async import paper
from mizar_async._api.trading import CloseAll, OpenPosition, PublishStrategy
from mizar_async.paper.store import LARGEST_ID, Store
from mizar_async.replay.loop import VirtualClock

from .conftest import OPEN, STRATEGY, client_of

PUBLISH = PublishStrategy(name="S", description="", exchanges=("binance",), symbols=("BTCUSDT",), market="SPOT")
LONG = OpenPosition(strategy_id=1, base_asset="BTC", quote_asset="USDT", is_long=True)


@pytest.fixture
async def page(venue: paper.Venue, key: str, strategy: int) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the page, with a strategy 1."""
    async with client_of(venue, key) as client:
        client.base_url = httpx.URL("http://venue/page/")
        yield client


async def traded(http: httpx.AsyncClient, count: int) -> list[dict[str, Any]]:
    """Positions that were opened and closed, the newest close first, as the API answers them."""
    closed = []
    for _ in range(count):
        number = (await http.post("open-position", json=OPEN)).json()["position_id"]
        closed.append((await http.post("close-position", json={"position_id": number})).json())
    return closed[::-1]


async def walked(page: httpx.AsyncClient, limit: int) -> list[list[dict[str, Any]]]:
    pages, before = list[list[dict[str, Any]]](), ""
    while before is not None:
        place = {"before": before} if before else {}
        answer = await page.get("closed", params={"strategy_id": 1, "limit": limit} | place)
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert set(said) == {"closed", "before"}
        pages.append(said["closed"])
        before = said["before"]
    return pages


async def test_closed_positions_come_newest_first_with_their_fees(
    http: httpx.AsyncClient, page: httpx.AsyncClient
) -> None:
    closed = await traded(http, 5)
    await http.post("open-position", json=OPEN)
    for limit, sizes in ((2, [2, 2, 1]), (5, [5]), (200, [5]), (1, [1] * 5)):
        pages = await walked(page, limit)
        assert [len(one) for one in pages] == sizes
        assert [entry for one in pages for entry in one] == [one | {"fee": "0.1"} for one in closed]


async def test_what_is_open_comes_with_its_fee(http: httpx.AsyncClient, page: httpx.AsyncClient) -> None:
    await traded(http, 1)
    opened = [(await http.post("open-position", json=OPEN)).json() for _ in range(2)]
    said = (await page.get("open", params={"strategy_id": 1})).json()
    assert said == {"open": [one | {"fee": "0.1"} for one in opened]}


async def test_a_strategy_without_history_has_one_empty_page(page: httpx.AsyncClient) -> None:
    assert (await page.get("closed?strategy_id=1")).json() == {"closed": [], "before": None}
    assert (await page.get("open?strategy_id=1")).json() == {"open": []}


async def test_a_page_holds_two_hundred_unless_it_is_told_fewer(
    venue: paper.Venue, key: str, page: httpx.AsyncClient
) -> None:
    for _ in range(201):
        venue.open_position(venue.owner(key), LONG)
    venue.close_all_positions(venue.owner(key), CloseAll(strategy_id=1))
    said = (await page.get("closed?strategy_id=1")).json()
    assert [int(one["position_id"]) for one in said["closed"]] == [*range(201, 1, -1)]
    rest = (await page.get("closed", params={"strategy_id": 1, "before": said["before"]})).json()
    assert ([one["position_id"] for one in rest["closed"]], rest["before"]) == (["1"], None)


async def test_closes_that_come_meanwhile_disturb_no_page(http: httpx.AsyncClient, page: httpx.AsyncClient) -> None:
    closed = await traded(http, 6)
    first = (await page.get("closed?strategy_id=1&limit=3")).json()
    await traded(http, 3)
    rest = (await page.get("closed", params={"strategy_id": 1, "limit": 3, "before": first["before"]})).json()
    assert [one["position_id"] for one in first["closed"] + rest["closed"]] == [one["position_id"] for one in closed]
    assert rest["before"] is None


@given(times=st.lists(st.integers(-3, 3), max_size=30), most=st.integers(1, 7))
def test_ties_in_time_neither_repeat_nor_are_passed_over(times: list[int], most: int) -> None:
    clock = VirtualClock(start=0)
    venue = paper.Venue(clock=clock)
    owner = venue.owner(venue.create_key())
    venue.publish_strategy(owner, PUBLISH)
    for at in times:  # which go back as well: a machine's clock was set, or a file is used at another speed
        opened = venue.open_position(owner, LONG, -9)
        venue.close_all_positions(owner, CloseAll(strategy_id=1), at)
        assert opened.position_id
    found, place = list[tuple[int, int]](), (LARGEST_ID, LARGEST_ID)
    while rows := venue.store.recorded_closed(1, place, most):
        ends = [(one.position.close_timestamp, one.position.position_id) for one in rows]  # type: ignore[union-attr]
        found += [(at, number) for at, number in ends if at is not None]
        place = found[-1]
    assert found == sorted(((at, number) for number, at in enumerate(times, 1)), reverse=True)
    venue.close()


@pytest.mark.parametrize(
    "query",
    [
        "", "strategy_id=x", "strategy_id=-1", "strategy_id=1&limit=0", "strategy_id=1&limit=201",
        "strategy_id=1&limit=x", "strategy_id=1&before=", "strategy_id=1&before=x", "strategy_id=1&before=1",
        "strategy_id=1&before=1.-1", "strategy_id=1&before=9999999999999999999.1",
        "strategy_id=1&before=-9999999999999999999.1", "strategy_id=1&before=1.9999999999999999999",
        "strategy_id=1&before=1.1%0a", "strategy_id=1&before=%D9%A1.1",
    ],
)  # fmt: skip
async def test_a_question_that_can_not_be_right_is_refused(page: httpx.AsyncClient, query: str) -> None:
    answer = await page.get(f"closed?{query}")
    assert answer.status_code == 422
    assert all(set(entry) == {"loc", "msg", "type"} for entry in answer.json()["detail"])


@pytest.mark.parametrize("path", ["closed", "open"])
async def test_the_page_tells_nothing_to_others(venue: paper.Venue, page: httpx.AsyncClient, path: str) -> None:
    for number in (2, 2**63, 10**30):
        assert (await page.get(f"{path}?strategy_id={number}")).status_code == 404
    for other, status in ((venue.create_key(), 404), ("wrong", 401), ("", 401)):
        answer = await page.get(f"{path}?strategy_id=1", headers={"mizar-api-key": other})
        assert answer.status_code == status
    page.headers.pop("mizar-api-key")
    assert (await page.get(f"{path}?strategy_id=1")).status_code == 401


async def test_the_page_is_no_part_of_the_description(venue: paper.Venue) -> None:
    assert not [path for path in paper.create_app(venue).openapi()["paths"] if "page" in path]


@pytest.mark.parametrize("strategy_id", [1, 2])
def test_a_page_is_found_by_an_index(tmp_path: Path, strategy_id: int) -> None:
    Store(tmp_path / "venue.db").close()
    file = sqlite3.connect(tmp_path / "venue.db")
    query = (
        f"SELECT * FROM positions WHERE strategy_id = {strategy_id} AND close_timestamp IS NOT NULL "
        "AND (close_timestamp, position_id) < (9, 9) ORDER BY close_timestamp DESC, position_id DESC LIMIT 200"
    )
    plan = " ".join(row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {query}"))
    file.close()
    assert "USING INDEX closed_positions (strategy_id=? AND close_timestamp>? AND close_timestamp<?)" in plan
    assert "TEMP B-TREE" not in plan


async def test_the_history_of_a_strategy_holds_no_others(http: httpx.AsyncClient, page: httpx.AsyncClient) -> None:
    await http.post("publish-self-hosted-strategy", json=STRATEGY)
    await traded(http, 2)
    number = (await http.post("open-position", json=OPEN | {"strategy_id": 2})).json()["position_id"]
    await http.post("close-position", json={"position_id": number})
    assert [len(one) for one in await walked(page, 9)] == [2]
