"""How a journal is kept small, recovered, and read; and what `recover` and `reconcile` tell of earlier runs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mizar_async import (
    AsyncMizar,
    ClosedPosition,
    InvalidInput,
    JournalDamaged,
    NotOpened,
    OpenPosition,
    OutcomeUnknown,
    read_journal,
)
from mizar_async.cli.journal import show_journal
from mizar_async.cli.output import Output

from ..scripted_venue import ScriptedVenue

KEY = "key-of-keeping-5ad0"
BTC: dict[str, Any] = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "is_long": True}


@pytest.fixture
def venue() -> ScriptedVenue:
    return ScriptedVenue()


def client(venue: ScriptedVenue, path: Path, **options: Any) -> AsyncMizar:
    return venue.client(key=KEY, journal=path / "journal", **{"grace": 0.0, "timeout": 1.0, "deadline": 5.0, **options})


def named(*names: str) -> list[OpenPosition]:
    return [OpenPosition(**BTC, client_order_id=name) for name in names]


async def test_recovery_tells_of_earlier_runs_by_their_requests(venue: ScriptedVenue, tmp_path: Path) -> None:
    async with client(venue, tmp_path) as mizar:
        positions = (await mizar.open_positions(named("a", "b", "c"), max_concurrency=1)).succeeded
        await mizar.close_position(position_id=positions[0].position_id)
        venue.script["open-position"], venue.script["all-open-positions"] = ["lost", "dropped"], [500] * 9
        result = await mizar.with_options(deadline=1.0).open_positions(named("d", "e"), max_concurrency=1)
        assert [type(outcome.error) for outcome in result.outcomes] == [OutcomeUnknown, OutcomeUnknown]
    venue.script.clear()
    venue.open.pop(2)
    async with client(venue, tmp_path) as mizar:
        recovery = await mizar.recover(timeout=10)
        assert [(one.client_order_id, one.position.position_id) for one in recovery.open] == [("c", 3), ("d", 4)]
        assert [one.client_order_id for one in recovery.closed_meanwhile] == ["b"]
        assert isinstance(recovery.closed_meanwhile[0].position, ClosedPosition)
        assert [one.client_order_id for one in recovery.not_opened] == ["e"]
        assert (recovery.unknown, recovery.unclaimed) == ([], [])
        assert repr(recovery) == "<Recovery: 2 open, 1 closed meanwhile, 1 not opened>"
        with pytest.raises(TypeError):
            bool(recovery)
        again = await mizar.open_positions(named("a", "b", "c", "d"), max_concurrency=1)
        assert [one.position_id for one in again.succeeded] == [1, 2, 3, 4]
        closed = await mizar.close_position(position_id=3)
        assert closed in [one.position for one in (await mizar.recover()).closed_meanwhile]
    assert venue.opened == 4


async def test_before_the_first_call_nobody_says_that_nothing_is_left(venue: ScriptedVenue, tmp_path: Path) -> None:
    async with client(venue, tmp_path) as mizar:
        for ask in (mizar.unresolved, lambda: mizar.unclaimed_positions(1)):
            with pytest.raises(InvalidInput, match=r"await recover\(\)"):
                ask()
        await mizar.recover()
        assert mizar.unresolved() == mizar.unclaimed_positions(1) == []


async def test_what_earlier_runs_have_in_doubt_is_unresolved_and_can_be_resolved(
    venue: ScriptedVenue, tmp_path: Path
) -> None:
    async with client(venue, tmp_path) as mizar:
        await mizar.open_position(**BTC)
        venue.script["open-position"] = ["dropped"]
        with pytest.raises(OutcomeUnknown) as unknown:
            await mizar.with_options(deadline=1.0).open_position(**BTC)
    async with client(venue, tmp_path) as mizar:
        await mizar.ping()
        (error,) = mizar.unresolved()
        assert error.reference == unknown.value.reference
        with pytest.raises(NotOpened):
            await mizar.resolve(unknown.value, timeout=10)
        assert mizar.unresolved() == []


async def test_what_no_list_can_tell_stays_unknown_over_runs_until_its_user_decides(
    venue: ScriptedVenue, tmp_path: Path
) -> None:
    async with client(venue, tmp_path, others_close=True) as mizar:
        venue.script["open-position"] = ["dropped"]
        with pytest.raises(OutcomeUnknown):
            await mizar.open_position(**BTC, client_order_id="a")
    async with client(venue, tmp_path) as mizar:
        with pytest.raises(OutcomeUnknown) as unknown:
            await mizar.open_position(**BTC, client_order_id="a")
        mizar.acknowledge(unknown.value, position_id=70)
    async with client(venue, tmp_path) as mizar:
        assert (await mizar.open_position(**BTC, client_order_id="a")).position_id == 70
        assert mizar.unresolved() == []
    assert venue.opened == 0


async def test_a_reconciliation_waits_for_what_earlier_runs_have_left(venue: ScriptedVenue, tmp_path: Path) -> None:
    async with client(venue, tmp_path) as mizar:
        await mizar.open_position(**BTC)
        venue.script["open-position"], venue.script["all-open-positions"] = ["lost"], [500] * 9
        with pytest.raises(OutcomeUnknown):
            await mizar.with_options(deadline=1.0).open_position(**BTC)
    venue.script.clear()
    async with client(venue, tmp_path) as mizar:
        found = await mizar.reconcile(1, [1, 2])
        assert ([one.position_id for one in found.matched], found.in_doubt) == ([1, 2], [])


async def test_without_a_journal_there_is_nothing_to_recover(venue: ScriptedVenue) -> None:
    async with venue.client(key="no-journal") as mizar:
        with pytest.raises(InvalidInput, match="journal="):
            await mizar.recover()


async def test_old_events_and_ids_are_forgotten_and_nothing_that_is_open(venue: ScriptedVenue, tmp_path: Path) -> None:
    async with client(venue, tmp_path, journal_days=0, order_id_days=0) as mizar:
        await mizar.open_positions(named("a", "b"), max_concurrency=1)
        await mizar.close_position(position_id=1)
    kept = read_journal(tmp_path / "journal")
    assert [(entry.client_order_id, entry.end) for entry in kept] == [("b", "open")]
    async with client(venue, tmp_path) as mizar:
        assert (await mizar.open_position(**BTC, client_order_id="b")).position_id == 2
        assert (await mizar.open_position(**BTC, client_order_id="a")).position_id == 3


async def test_a_long_story_is_told_by_a_state_and_few_entries(venue: ScriptedVenue, tmp_path: Path) -> None:
    async with client(venue, tmp_path) as mizar:
        for _ in range(3):
            opened = await mizar.open_positions([OpenPosition(**BTC)] * 300)
            await mizar.close_positions([position.position_id for position in opened.succeeded[10:]])
    async with client(venue, tmp_path) as mizar:
        recovery = await mizar.recover()
        assert len(recovery.open) == 30
        assert recovery.unknown == []


@pytest.mark.parametrize("days", [-1, float("inf"), "7", True])
def test_days_are_a_number(days: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="journal_days="):
        AsyncMizar(KEY, api_url="http://localhost", journal_days=days)


async def test_a_journal_is_read_while_it_is_written(venue: ScriptedVenue, tmp_path: Path) -> None:
    async with client(venue, tmp_path) as mizar:
        await mizar.open_positions(named("a", "b"), max_concurrency=1)
        await mizar.close_position(position_id=1)
        await asyncio.sleep(0.2)
        told = [(entry.client_order_id, entry.end) for entry in read_journal(tmp_path / "journal")]
        assert told == [("a", "closed"), ("b", "open")]
        assert read_journal(tmp_path / "journal")[0].sent_at is not None


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no such file"):
        read_journal(tmp_path / "none")
    (tmp_path / "text").write_text("text")
    with pytest.raises(JournalDamaged, match="is it a journal"):
        read_journal(tmp_path / "text")


async def test_the_command_shows_those_of_a_strategy_or_in_doubt_and_as_data(
    venue: ScriptedVenue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with client(venue, tmp_path) as mizar:
        await mizar.open_positions(named("a", "b"), max_concurrency=1)
        await mizar.open_position(**(BTC | {"strategy_id": 2}), client_order_id="c")
        venue.script["open-position"], venue.script["all-open-positions"] = ["dropped"], [500] * 99
        with pytest.raises(OutcomeUnknown):
            await mizar.with_options(deadline=1.0).open_position(**BTC, client_order_id="d")

        def shown(**only: Any) -> list[tuple[str, str]]:
            chosen = {"strategy": None, "doubts": False} | only
            show_journal(Output(as_json=True), tmp_path / "journal", **chosen)
            return [(one["client_order_id"], one["end"]) for one in json.loads(capsys.readouterr().out)]

        assert shown() == [("a", "open"), ("b", "open"), ("c", "open"), ("d", "in doubt")]
        assert shown(strategy=2) == [("c", "open")]
        assert shown(doubts=True) == [("d", "in doubt")]


@pytest.mark.parametrize("width", [40, 80, 200])
async def test_the_command_shows_names_whole_however_narrow_the_terminal_is(
    venue: ScriptedVenue, tmp_path: Path, width: int
) -> None:
    names = ["grid-2026-11-28-level-1", "btc:top:[red]", "ends with \\"]
    async with client(venue, tmp_path) as mizar:
        await mizar.open_positions(named(*names), max_concurrency=1)
        await mizar.close_position(position_id=2)
    command = (sys.executable, "-c", "from mizar_async.cli import main; main()", "journal", str(tmp_path / "journal"))
    environment = {**os.environ, "COLUMNS": str(width)}
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, env=environment)
    assert [name for name in names if name not in ran.stdout] == []
    assert ran.stdout.endswith("1 closed, 2 open\n")
    assert max(map(len, ran.stdout.splitlines())) <= width
