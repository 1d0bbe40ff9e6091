"""Opens of the same pair and size, while a part of all exchanges fails: none is doubled, none is lost from sight."""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path

import attrs
import pytest

from mizar_async import NotOpened, OutcomeUnknown

from .conftest import FULL, an_open, ids, looked, scene
from .faulty_proxy import Fault


@attrs.frozen
class Row:
    """One row of the table: how many opens, how much fails, and whether what is proven absent is sent again."""

    opens: int
    rate: float
    resend_absent: bool
    seed: int


ROWS = {
    "a_third_fails": Row(10_000 if FULL else 300, 1 / 3, False, 1),
    "a_third_fails_and_the_absent_are_sent_again": Row(10_000 if FULL else 40, 1 / 3, True, 2),
    "two_thirds_fail": Row(500 if FULL else 60, 2 / 3, False, 3),
    "two_thirds_fail_and_the_absent_are_sent_again": Row(500 if FULL else 12, 2 / 3, True, 4),
}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_every_position_is_returned_once_or_reported_as_unclaimed(row: Row, tmp_path: Path) -> None:
    async with scene(tmp_path, seed=row.seed, resend_absent=row.resend_absent) as all_of_it:
        mizar, proxy = all_of_it.mizar, all_of_it.proxy
        first = []
        if row.resend_absent:  # without a baseline some end as OutcomeUnknown: all are opened only with it
            await looked(mizar)
            first = [await mizar.open_position(**attrs.asdict(an_open()))]
        proxy.rate = row.rate
        result = await mizar.open_positions([an_open()] * (row.opens - len(first)))
        proxy.rate = 0.0
        found = await all_of_it.resolved()
        on_the_server = ids(all_of_it.positions())
        returned, unclaimed = ids(first + result.succeeded + found), ids(mizar.unclaimed_positions(1))
        print(f"{row}: {result}, {len(on_the_server)} on the server, {len(unclaimed)} unclaimed, {dict(proxy.counts)}")
        print({fault.name: count for fault, count in proxy.faults.items()})

        assert len(set(returned)) == len(returned), "a position was given to two calls"
        assert sorted(returned + unclaimed) == on_the_server
        ends = {type(outcome.error) for outcome in result.failed}
        assert ends <= {NotOpened, OutcomeUnknown}
        if row.resend_absent:
            assert len(returned) == len(on_the_server) == row.opens
        else:
            sent = [request for request in proxy.requests_of("open-position") if request.fault is not Fault.TOO_MANY]
            assert len(sent) <= row.opens, "a call that was in doubt was sent again"
            assert len(on_the_server) <= row.opens


async def test_an_open_leaves_again_only_after_its_absence_was_proven(tmp_path: Path) -> None:
    opens = 200 if FULL else 40
    async with scene(tmp_path, seed=5, resend_absent=True) as all_of_it:
        mizar, proxy = all_of_it.mizar, all_of_it.proxy
        proxy.rate = 1 / 3
        # The sizes tell the calls apart.
        result = await mizar.open_positions([an_open(number / 10_000) for number in range(1, opens + 1)])
        assert len(result.succeeded) == opens == len(all_of_it.positions())
        sent = defaultdict(list)
        for request in proxy.requests_of("open-position"):
            sent[request.body].append(request)
        assert len(sent) == opens
        assert any(len(requests) > 1 for requests in sent.values())
        for requests in sent.values():
            assert [request.status for request in requests if request.status] == [200], "opened once"
            for earlier, later in itertools.pairwise(requests):
                assert earlier.fault is Fault.TOO_MANY or later.at - earlier.at >= 0.5 + 2.0


AFTER_ACTING = (Fault.RESET_AFTER, Fault.LATE, Fault.HELD, Fault.HALF, Fault.ERROR_AFTER, Fault.GARBAGE, Fault.NO_HTTP)


@pytest.mark.parametrize("fault", AFTER_ACTING, ids=lambda fault: fault.name.lower())
async def test_an_open_without_an_answer_is_looked_up_and_not_sent_again(fault: Fault, tmp_path: Path) -> None:
    async with scene(tmp_path, seed=6) as scenery:
        await looked(scenery.mizar)
        scenery.proxy.plan = lambda seen: fault if seen.call == "open-position" else None
        position = await scenery.mizar.open_position(**attrs.asdict(an_open()))
        assert [position.position_id] == ids(scenery.positions())
        assert scenery.proxy.counts["open-position"] == 1
        assert scenery.mizar.unresolved() == scenery.mizar.unclaimed_positions(1) == []
