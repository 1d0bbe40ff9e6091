"""A simulation is worth what it catches: each fault that is put into the ledger must be found.

The seeds are those of the regime that finds it first, counted up to the first that does. What the simulation does not
find in 25 seeds of any regime is found by the rule's own test. The ordinary run begins with the seed that is known to
find a fault, and goes on to three times as many.

    claims forgotten                                 faults of every kind                       1
    no settle time                                   faults of every kind                       1
    settle time counted from sending                 a replica that freezes                     1
    settle time counted from an early reset          a replica that freezes                     1
    adopts while a call in flight may own it         a replica that freezes                     1
    waits for the newest call in flight              a replica that freezes                     1
    last window first                                a replica that freezes                     1
    order of ids ignored                             faults of every kind                       1
    floor ignored                                    test_an_id_that_was_known_before_sending_is_not_the_attempts
    floor kept though ids do not grow                test_floors_are_off_once_an_answer_has_shown_that_ids_do_not_grow
    sequence ignored                                 test_a_position_is_not_given_to_an_attempt_sent_after_it_was_listed
    time of sending ignored                          no baseline                                4
    window end ignored                               answers after the time-out                 23
    sizes compared exactly                           sizes and pairs echoed in another form     1
    sizes across the border not looked for           sizes and pairs echoed in another form     4
    pairs compared with their case                   sizes and pairs echoed in another form     1
    sides not compared                               test_a_listed_position_is_of_the_attempts_kind
    absence dated by the list's arrival              flatten with deadlines, and no clock       3
    lag ignored                                      lists far behind                           2
    every list is fresh                              a replica that freezes                     6
    a list that lacks an open position is fresh      test_a_list_that_lacks_what_is_known_to_be_open_proves_no_absence
    a list that shows a closed position is fresh     test_a_list_that_shows_what_was_closed_before_proves_no_absence
    missing once is closed                           a replica that freezes                     1
    absent while a position may be its               a replica that freezes                     1
    absent though it heard yes                       answers after the time-out                 23
    no trade between equals                          test_an_open_that_said_yes_trades_with_an_equal_that_opened_nothing
    a close-all taints nothing                       our own close-all                          2
    the taint stays with whom a position is given    our own close-all                          11
    after a close-all all is known to be open        test_after_a_close_all_nothing_vanishes
    others close, not minded                         others close, as declared                  4
    closed while unowned, and forgotten              flatten                                    4
    closed positions forgotten                       faults of every kind                       1
    the undated adopted without a baseline           no baseline, and no clock                  3
    absent without a baseline and a clock            test_without_a_baseline_absence_needs_the_clock
    undated for good                                 no baseline                                7
    what was there at the start reported             faults of every kind                       1
    strangers not reported                           faults of every kind                       1
    strangers reported again and again               faults of every kind                       1
    reported without the calls it may belong to      delivered after the settle time            1
    who gave up is not looked for                    deadlines                                  1
    who gave up is still waited for                  deadlines                                  1
    given again by a late answer                     answers after the time-out                 1
    late answers not heard                           test_a_late_answer_gives_the_position_to_an_attempt_in_doubt
    replaced positions dropped                       test_a_late_answer_of_one_given_anothers_position_frees_its_own
    shell: TakesServerErrorsForNo                    settle times and lags that differ          1
    shell: TakesFailedListsForEmpty                  no baseline, and no clock                  2
    shell: TakesDoubtForNo                           faults of every kind                       1
    shell: SendsAgainInDoubt                         faults of every kind                       1
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mizar_async._ledger.ledger import Ledger

from ..ledger import test_ledger
from .mutants import MUTANTS, SHELLS, Mutant
from .regimes import REGIMES
from .run import Run

assert __doc__ is not None
TABLE = {
    name: (regime, int(seeds or 0))
    for name, regime, seeds in re.findall(r"^    (\S.*?)  +(\S.*?)(?:  +(\d+))?$", __doc__, re.MULTILINE)
}


def is_caught(seed: int, regime: str, run: type[Run], ledger: type[Ledger]) -> bool:
    try:
        return bool(run(seed, REGIMES[regime], ledger).violations())
    except (AssertionError, LookupError, ValueError, TypeError, RecursionError):
        return True  # it fell over its own fault


def seeds_from(known: int) -> Iterator[int]:
    return itertools.chain([known - 1], range(3 * known + 5))


def arguments(test: Callable[..., None]) -> Iterator[dict[str, Any]]:
    """Those of each case of a parametrised test; one without any for others."""
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    if not marks:
        yield {}
    for mark in marks:
        names, cases = mark.args
        names = [names] if isinstance(names, str) else names
        for case in cases:
            values = getattr(case, "values", (case,))
            yield dict(zip(names, values, strict=True))


def fails(name: str, ledger: type[Ledger]) -> bool:
    """Whether the test of that name fails for such a ledger."""
    test = getattr(test_ledger, name)
    for case in arguments(test):
        given = ledger()
        if "ledger" in inspect.signature(test).parameters:
            test_ledger.listed(given, 0.0, 5)
        try:
            test(given, **case)
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_in_the_ledger_is_caught(mutant: Mutant) -> None:
    ledger = mutant.ledger()
    found_by, seeds = TABLE[mutant.name]
    if found_by in REGIMES:
        assert any(is_caught(seed, found_by, Run, ledger) for seed in seeds_from(seeds))
    else:
        assert fails(found_by, ledger)
        assert not fails(found_by, Ledger)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell.__doc__)
def test_a_shell_that_misjudges_the_network_is_caught(shell: type[Run]) -> None:
    regime, seeds = TABLE[f"shell: {shell.__name__}"]
    assert any(is_caught(seed, regime, shell, Ledger) for seed in seeds_from(seeds))


def test_the_table_names_every_fault_and_no_other() -> None:
    assert list(TABLE) == [*(mutant.name for mutant in MUTANTS), *(f"shell: {shell.__name__}" for shell in SHELLS)]


def test_most_faults_are_found_by_the_simulation() -> None:
    assert sum(TABLE[mutant.name][0] in REGIMES for mutant in MUTANTS) >= 20
