"""A guard closes what a bot has opened, however that ends, and nothing where it should not."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from mizar_async import AsyncMizar, ClosedPosition

from ..scenarios.conftest import STRATEGY
from ..venues import ROOT, VenueProcess
from .guarded import NUMBER

FULL = bool(os.environ.get("MIZAR_FAULTS_FULL"))
GUARD = (sys.executable, "-c", "from mizar_async.cli import main; main()", "guard", "--strategy", "1")
LIMIT = 120


@attrs.define
class Ended:
    """How a guard ended: its exit code and what it said."""

    code: int
    said: str


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[VenueProcess]:
    async with VenueProcess(tmp_path / "venue.db") as venue:
        async with AsyncMizar(venue.key, api_url=venue.url) as mizar:
            await mizar.create_self_hosted_strategy(**STRATEGY)
        yield venue


async def started(venue: VenueProcess, home: Path, what: str, *options: str, **environment: str) -> Any:
    bot = (sys.executable, "-m", "tests.journal.guarded", *what.split(" / "))
    return await asyncio.create_subprocess_exec(
        *GUARD,
        *options,
        "--",
        *bot,
        cwd=ROOT,
        env=os.environ | {"MIZAR_API_KEY": venue.key, "MIZAR_API_URL": venue.url, "HOME": str(home)} | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: Any) -> Ended:
    out, errors = await asyncio.wait_for(process.communicate(), LIMIT)
    return Ended(process.returncode, out.decode() + errors.decode())


def still_open(venue: VenueProcess) -> int:
    return sum(not isinstance(position, ClosedPosition) for position in venue.positions())


@pytest.mark.parametrize(
    ("what", "options", "code", "says"),
    [
        ("fails", (), 1, "has ended with 1"),
        ("ends well", (), 0, "has ended with 0"),
        ("killed in the middle", (), 128 + 9, "signal 9"),
        ("hangs", ("--silence", "2"), 124, "silent for more than 2 s"),
        ("is blocking and hangs", ("--silence", "2"), 124, "silent for more than 2 s"),
        ("imports for long", ("--silence", "2"), 0, "has ended with 0"),
        ("has a worker that has ended", ("--silence", "2"), 0, "has ended with 0"),
    ],
)
async def test_however_a_bot_ends_nothing_is_left_open(
    venue: VenueProcess, tmp_path: Path, what: str, options: tuple[str, ...], code: int, says: str
) -> None:
    result = await ended(await started(venue, tmp_path, what, *options))
    assert result.code == code, result.said
    assert says in result.said
    assert "nothing open, and nothing is in doubt" in result.said
    assert still_open(venue) == 0
    assert venue.key not in result.said


async def test_a_signal_reaches_the_bot_and_its_positions_are_closed(venue: VenueProcess, tmp_path: Path) -> None:
    process = await started(venue, tmp_path, "waits")
    assert await asyncio.wait_for(process.stdout.readline(), LIMIT) == b"opened\n"
    process.send_signal(signal.SIGTERM)
    result = await ended(process)
    assert (result.code, still_open(venue)) == (128 + 15, 0), result.said
    assert len(venue.positions()) == NUMBER


async def test_the_positions_of_a_bot_that_ended_well_are_kept_if_that_is_asked(
    venue: VenueProcess, tmp_path: Path
) -> None:
    result = await ended(await started(venue, tmp_path, "ends well", "--keep-on-success"))
    assert (result.code, still_open(venue)) == (0, NUMBER), result.said
    assert "left as they are" in result.said
    result = await ended(await started(venue, tmp_path, "fails", "--keep-on-success"))
    assert (result.code, still_open(venue)) == (1, 0), result.said


async def test_a_bot_may_name_its_journal_itself(venue: VenueProcess, tmp_path: Path) -> None:
    own = tmp_path / "own"
    result = await ended(await started(venue, tmp_path, f"killed in the middle / {own}", MOMENT="0.2"))
    assert (result.code, still_open(venue)) == (128 + 9, 0), result.said
    assert own.exists()


async def test_a_bot_of_another_key_is_stopped_and_said_not_to_be_guarded(venue: VenueProcess, tmp_path: Path) -> None:
    result = await ended(await started(venue, tmp_path, "has another key", ANOTHER_KEY="another"))
    assert result.code == 3  # what it has opened, this key can't close
    assert "another key or host" in result.said


async def test_nothing_starts_with_a_wrong_key_or_without_a_server(venue: VenueProcess, tmp_path: Path) -> None:
    wrong = await ended(await started(venue, tmp_path, "ends well", MIZAR_API_KEY="wrong"))
    assert (wrong.code, "nothing is started" in wrong.said, "opened" in wrong.said) == (4, True, False)
    unreached = await ended(await started(venue, tmp_path, "ends well", MIZAR_API_URL="http://127.0.0.1:9"))
    assert (unreached.code, "nothing is started" in unreached.said) == (5, True)
    assert venue.positions() == []


@pytest.mark.parametrize("moment", range(20 if FULL else 1))
async def test_a_bot_killed_at_any_moment_of_a_bulk_leaves_nothing_open(
    venue: VenueProcess, tmp_path: Path, moment: int
) -> None:
    after = random.Random(moment).uniform(0.01, 0.6)
    result = await ended(await started(venue, tmp_path, "killed in the middle", MOMENT=f"{after:.3f}"))
    assert (result.code, still_open(venue)) == (128 + 9, 0), result.said


async def test_a_guard_that_nobody_listens_to_closes_all_the_same(venue: VenueProcess, tmp_path: Path) -> None:
    process = await started(venue, tmp_path, "waits")
    process._transport.get_pipe_transport(2).close()
    assert await asyncio.wait_for(process.stdout.readline(), LIMIT) == b"opened\n"
    process.send_signal(signal.SIGHUP)
    assert await asyncio.wait_for(process.wait(), LIMIT) == 128 + 1
    assert still_open(venue) == 0


async def test_what_a_gone_journal_held_in_doubt_is_not_proven(venue: VenueProcess, tmp_path: Path) -> None:
    own = tmp_path / "own"
    process = await started(venue, tmp_path, f"waits / {own}")
    assert await asyncio.wait_for(process.stdout.readline(), LIMIT) == b"opened\n"
    for name in ("own", "own-wal", "own-shm", "own-lock"):
        (tmp_path / name).unlink()
    process.send_signal(signal.SIGTERM)
    result = await ended(process)
    assert (result.code, still_open(venue)) == (3, 0), result.said
    assert "NOT PROVEN" in result.said


@pytest.mark.parametrize(
    ("options", "environment"), [(("--keep",), {}), (("--silence", "inf"), {}), ((), {"MIZAR_JOURNAL": "/nowhere/j"})]
)
async def test_what_makes_no_sense_is_refused_before_anything_starts(
    venue: VenueProcess, tmp_path: Path, options: tuple[str, ...], environment: dict[str, str]
) -> None:
    result = await ended(await started(venue, tmp_path, "ends well", *options, **environment))
    assert result.code == 2, result.said
    assert "Traceback" not in result.said
    assert venue.positions() == []
