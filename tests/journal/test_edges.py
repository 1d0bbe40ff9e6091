"""What only happens between two steps: takeovers, closings, slow disks, and words of the user."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mizar_async import (
    AsyncMizar,
    ClosedPosition,
    Conflict,
    MizarError,
    NotSent,
    OutcomeUnknown,
    Position,
    read_journal,
)
from mizar_async._journal.journal import Journal
from mizar_async._journal.store import Store

from ..scripted_venue import ScriptedVenue

KEY = "key-of-edges-8c02"
BTC: dict[str, Any] = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "is_long": True}
NAMED = BTC | {"client_order_id": "a"}


@pytest.fixture
def venue() -> ScriptedVenue:
    return ScriptedVenue()


def client(venue: ScriptedVenue, path: Path, **options: Any) -> AsyncMizar:
    return venue.client(key=KEY, journal=path / "journal", **{"grace": 0.0, **options})


def as_a_kill_leaves_it(path: Path) -> Path:
    """A copy of the journal as it is on disk now."""
    killed = path / "killed"
    killed.mkdir()
    for name in ("journal", "journal-wal", "journal-lock"):
        shutil.copy(path / name, killed / name)
    return killed


def full() -> sqlite3.OperationalError:
    failure = sqlite3.OperationalError("database or disk is full")
    failure.sqlite_errorcode = sqlite3.SQLITE_FULL
    return failure


async def test_a_call_that_comes_while_it_is_taken_over_waits_for_that(
    venue: ScriptedVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client(venue, tmp_path) as mizar:
        await mizar.open_position(**NAMED)
    history = Journal._history

    def slow(self: Journal, *found: Any) -> Any:
        time.sleep(0.3)
        return history(self, *found)

    monkeypatch.setattr(Journal, "_history", slow)
    async with client(venue, tmp_path, timeout=5.0, deadline=9.0) as mizar:
        calls = []
        for _ in range(20):
            calls.append(asyncio.create_task(mizar.open_position(**NAMED)))
            await asyncio.sleep(0.02)
        assert {(await call).position_id for call in calls} == {1}
    assert venue.opened == 1


async def test_a_look_up_that_is_older_than_a_close_is_made_again(
    venue: ScriptedVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, looked = Journal.find, asyncio.Event()

    async def late(self: Journal, *asked: Any) -> Any:
        found = await find(self, *asked)
        if not looked.is_set():
            looked.set()
            await asyncio.sleep(0.5)
        return found

    monkeypatch.setattr(Journal, "find", late)
    async with client(venue, tmp_path) as mizar:
        slow = asyncio.create_task(mizar.open_position(**NAMED))
        await looked.wait()
        position = await mizar.open_position(**NAMED)
        await mizar.close_position(position_id=position.position_id)
        assert isinstance(await slow, ClosedPosition)
    assert venue.opened == 1


async def test_look_ups_that_never_all_end_at_once_know_what_was_closed_meanwhile(
    venue: ScriptedVenue, tmp_path: Path
) -> None:
    async with client(venue, tmp_path, deadline=5.0) as mizar:
        positions = [await mizar.open_position(**BTC, client_order_id=name) for name in "ab"]
        for position in positions:
            await mizar.close_position(position_id=position.position_id)
        orders = mizar._view.account.watch(1).orders
        orders._looking.append(set("ab"))  # one that began before, and goes on
        again = [await mizar.open_position(**BTC, client_order_id=name) for name in "ab"]
        assert [type(position) for position in again] == [ClosedPosition, ClosedPosition]
    assert venue.opened == 2


async def test_names_that_are_over_or_were_never_used_are_forgotten(
    venue: ScriptedVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mizar_async._account.orders.REMEMBERED", 3)
    names = "abcdefgh"
    async with client(venue, tmp_path) as mizar:
        for name in names:
            position = await mizar.open_position(**BTC, client_order_id=name)
            await mizar.close_position(position_id=position.position_id)
        for name in names:
            assert isinstance(await mizar.open_position(**BTC, client_order_id=name), ClosedPosition)
        orders = mizar._view.account.watch(1).orders
        await orders.look_up([f"never-{name}" for name in names], 9.0)
        assert (len(orders._by_id), len(orders._unused)) == (3, 2)
    assert venue.opened == len(names)


async def test_a_disk_that_is_stuck_while_the_journal_is_opened_holds_up_nothing_but_opens(
    venue: ScriptedVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, goes = Store._begin, threading.Event()

    def stuck(self: Store, *what: Any) -> None:
        goes.wait(60)
        begin(self, *what)

    monkeypatch.setattr(Store, "_begin", stuck)
    try:
        async with client(venue, tmp_path, timeout=0.3, deadline=0.3) as mizar:
            assert await mizar.get_all_open_positions(strategy_id=1) == []
            with pytest.raises(NotSent, match="is being opened still"):
                await mizar.open_position(**NAMED)
            goes.set()
            assert isinstance(await mizar.with_options(deadline=9.0).open_position(**NAMED), Position)
    finally:
        goes.set()


async def test_text_of_a_derived_class_is_written_as_text(venue: ScriptedVenue, tmp_path: Path) -> None:
    class Text(str):
        __slots__ = ()

    derived = {name: Text(value) if isinstance(value, str) else value for name, value in NAMED.items()}
    async with client(venue, tmp_path) as mizar:
        position = await mizar.open_position(**derived)
        assert await mizar.open_position(**NAMED) == position


async def test_a_run_that_a_state_names_is_not_forgotten(venue: ScriptedVenue, tmp_path: Path) -> None:
    async with client(venue, tmp_path, journal_days=0, order_id_days=0) as mizar:
        position = await mizar.open_position(**BTC)
        await mizar.close_position(position_id=position.position_id)
    for _ in range(2):
        async with client(venue, tmp_path, journal_days=0, order_id_days=0) as mizar:
            await mizar.recover()
    async with client(venue, tmp_path) as mizar:
        assert (await mizar.open_position(**BTC)).position_id == 2


async def test_a_client_that_is_closed_while_its_journal_is_opened_harms_no_other(
    venue: ScriptedVenue, tmp_path: Path
) -> None:
    mizar = client(venue, tmp_path)
    call = asyncio.create_task(mizar.open_position(**NAMED))
    await asyncio.sleep(0.001)
    await mizar.aclose()
    with pytest.raises(MizarError):
        await call
    async with client(venue, tmp_path) as other:
        assert isinstance(await other.open_position(**NAMED), Position)


async def test_a_new_client_waits_until_the_last_has_left_the_file(
    venue: ScriptedVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Store.commit

    def slow(self: Store, *what: Any, **how: Any) -> None:
        if how.get("ended"):
            time.sleep(0.5)
        commit(self, *what, **how)

    monkeypatch.setattr(Store, "commit", slow)
    first = client(venue, tmp_path, timeout=5.0)
    await first.open_position(**NAMED)
    leaving = asyncio.create_task(first.aclose())
    await asyncio.sleep(0.05)
    async with client(venue, tmp_path, timeout=5.0, deadline=9.0) as second:
        assert (await second.open_position(**NAMED)).position_id == 1
        await leaving
        assert (await second.open_position(**BTC)).position_id == 2


@pytest.mark.parametrize("position_id", [None, 70])
async def test_the_users_word_is_kept_over_a_kill(
    venue: ScriptedVenue, tmp_path: Path, position_id: int | None
) -> None:
    async with client(venue, tmp_path, others_close=True) as mizar:
        venue.script["open-position"] = ["dropped"]
        with pytest.raises(OutcomeUnknown) as unknown:
            await mizar.open_position(**NAMED)
        mizar.acknowledge(unknown.value, position_id)
        await asyncio.sleep(0.2)
        killed = as_a_kill_leaves_it(tmp_path)
    for _ in range(2):
        async with client(venue, killed) as mizar:
            assert (await mizar.recover()).unknown == []
            assert mizar.unresolved() == []
            assert (await mizar.open_position(**NAMED)).position_id == (position_id or 1)


async def test_what_can_not_be_written_is_not_told_as_an_outcome_until_it_can(
    venue: ScriptedVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, is_full = Store.commit, False

    def fails(self: Store, *what: Any, **how: Any) -> None:
        if is_full:
            raise full()
        commit(self, *what, **how)

    def answer(ask: dict[str, Any]) -> tuple[int, object]:
        nonlocal is_full
        is_full = True
        return venue.act("open-position", ask)

    monkeypatch.setattr(Store, "commit", fails)
    async with client(venue, tmp_path) as mizar:
        await mizar.ping()
        venue.script["open-position"] = [answer]
        with pytest.raises(OutcomeUnknown, match="can't be written down") as unknown:
            await mizar.open_position(**NAMED)
        assert unknown.value.candidates == (1,)
        with pytest.raises(NotSent, match="can't be written"):
            await mizar.open_position(**BTC)
        for ask_again in (mizar.resolve(unknown.value, timeout=5), mizar.open_position(**NAMED)):
            with pytest.raises(OutcomeUnknown) as again:
                await ask_again
            assert again.value.candidates == (1,)
            assert [position.position_id for position in mizar.unclaimed_positions(1)] == [1]
        is_full = False
        found = await mizar.resolve(unknown.value, timeout=5)
        assert mizar.unclaimed_positions(1) == []
        assert isinstance(found, Position)
        assert found.position_id == 1
        assert await mizar.open_position(**NAMED) == found
    assert venue.opened == 1


async def test_a_slow_disk_ends_no_call_later_than_its_deadline(
    venue: ScriptedVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Store.commit

    def slow(self: Store, *what: Any, **how: Any) -> None:
        if not how.get("ended"):
            time.sleep(3.0)
        commit(self, *what, **how)

    async with client(venue, tmp_path) as mizar:
        position = await mizar.open_position(**BTC)
        monkeypatch.setattr(Store, "commit", slow)
        began = time.monotonic()
        with pytest.raises(NotSent, match="took too long"):
            await mizar.open_position(**NAMED)
        assert time.monotonic() - began < 2.5
        assert (await mizar.close_position(position_id=position.position_id)).position_id == 1
    assert venue.opened == 1


async def test_a_strategy_that_is_new_while_it_is_taken_over_is_written_down_too(
    venue: ScriptedVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_over = Journal._take_over

    def slow(self: Journal, *how: Any) -> None:
        take_over(self, *how)
        time.sleep(0.4)

    monkeypatch.setattr(Journal, "_take_over", slow)
    async with client(venue, tmp_path, timeout=5.0, deadline=9.0) as mizar:
        first = asyncio.create_task(mizar.open_position(**NAMED))
        await asyncio.sleep(0.2)
        await mizar.open_position(**NAMED | {"strategy_id": 2})
        await first
    assert [entry.strategy_id for entry in read_journal(tmp_path / "journal")] == [1, 2]


async def test_a_close_that_was_refused_is_under_way_no_more(venue: ScriptedVenue, tmp_path: Path) -> None:
    async with client(venue, tmp_path) as mizar:
        position = await mizar.open_position(**NAMED)
        venue.open.clear()
        with pytest.raises(Conflict):
            await mizar.close_position(position_id=position.position_id)
        record = mizar._view.account.watch(1).record
        assert record is not None
        assert record.closing == {}
