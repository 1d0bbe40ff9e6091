"""A simulation is worth what it catches: each fault that is put into the ledger must be found.

The seeds are those of the regime that finds it first, counted up to the first that does. What the simulation does not
find in a few seeds of any regime is found by the rule's own test, which then stands below. The ordinary run begins with
the seed that is known to find a fault, and goes on to three times as many.

    claims forgotten                                      faults of every kind                         1
    no settle time                                        flatten                                      1
    settle time counted from sending                      flatten                                      1
    settle time counted from an early reset               lists far behind                             1
    adopts while a call in flight may own it              faults of every kind                         1
    waits for the newest call in flight                   faults of every kind                         1
    last window first                                     a replica that freezes                       1
    order of ids ignored                                  faults of every kind                         1
    order of ids kept though ids do not grow
        test_where_ids_do_not_grow_positions_go_out_in_the_order_of_their_times
    floor ignored
        test_an_id_that_was_known_before_sending_makes_a_position_a_candidate_only
    floor kept though ids do not grow
        test_floors_are_off_once_an_answer_has_shown_that_ids_do_not_grow
    sequence ignored
        test_a_position_is_not_given_to_an_attempt_sent_after_it_was_listed
    time of sending ignored                               lists far behind                             3
    window end ignored
        test_an_open_that_said_yes_does_not_trade_for_what_was_opened_later
    sizes compared exactly
        test_a_listed_position_is_of_the_attempts_kind
    sizes across the border not looked for                sizes and pairs echoed in another form       1
    exact sizes relied on though they are rounded
        test_sizes_are_not_relied_on_once_an_answer_has_echoed_another
    rounded sizes given to anyone near
        test_a_rounded_size_goes_to_who_asked_for_the_nearest
    near sizes are no candidates
        test_a_listed_position_is_of_the_attempts_kind
    pairs compared with their case                        sizes and pairs echoed in another form       1
    sides not compared
        test_a_listed_position_is_of_the_attempts_kind
    absence dated by the list's arrival                   closes in doubt, and a replica that freezes  3
    lag ignored                                           lists far behind                             2
    every list is fresh
        test_a_list_that_lacks_what_is_known_to_be_open_proves_no_absence
    a list that lacks an open position is fresh
        test_a_list_that_lacks_what_is_known_to_be_open_proves_no_absence
    a list that shows a closed position is fresh
        test_a_list_that_shows_what_was_closed_before_proves_no_absence
    missing once is closed
        test_a_list_that_lacks_what_is_known_to_be_open_proves_no_absence
    a list that is cut proves absence                     lists that are cut                           1
    a cut list known by ids though they do not grow
        test_a_list_that_shows_nothing_newer_than_what_it_lacks_is_cut_and_proves_nothing
    a 409 closes for good
        test_what_was_not_certainly_closed_is_open_as_soon_as_a_list_shows_it
    what is called closed is closed, whatever lists show
        test_what_is_called_closed_and_shown_for_long_is_open
    what comes back is known to be open                   closes in doubt, and a replica that freezes  28
    absent though a position may be its                   no two alike, and a clock that steps         3
    a position that fits nobody is reported at once
        test_a_position_whose_size_differs_is_a_candidate_within_a_percent
    reported while it may belong to somebody              faults of every kind                         1
    unknown while another may prove to be the owner       a replica that freezes                       1
    waits for what is seen after the proof
        test_an_attempt_does_not_wait_for_what_is_seen_after_its_absence_was_proven
    strays not passed on
        test_what_may_be_somebodys_who_was_given_another_may_be_that_others
    gives first to whom something else may belong
        test_of_two_in_doubt_the_one_to_whom_nothing_else_may_belong_gets_the_position
    absent though it heard yes
        test_an_open_that_said_yes_is_never_absent
    no trade between equals
        test_an_open_that_said_yes_trades_with_an_equal_that_opened_nothing
    a close-all taints nothing                            our own close-all                            2
    a close-all under way taints nothing
        test_a_close_all_under_way_may_close_it_unseen
    a close-all acts only until it is given up            no two alike, and close-alls in doubt        9
    a close-all that was refused taints
        test_a_close_all_that_was_refused_has_closed_nothing
    the taint stays with whom a position is given         our own close-all                            3
    after a close-all all is known to be open
        test_after_a_close_all_nothing_vanishes
    open again though a close-all may act
        test_what_was_opened_while_a_close_all_may_act_is_known_to_be_open_once_a_later_list_shows_it
    others close, not minded                              others close, as declared                    1
    closed while unowned, and forgotten
        test_what_nobody_owns_and_is_open_after_all_is_reported_unless_it_was
    closed positions forgotten                            faults of every kind                         1
    the undated adopted without a baseline                no baseline, and no clock                    3
    absent without a baseline and a clock
        test_without_a_baseline_absence_needs_the_clock
    undated for good
        test_an_undated_position_is_adopted_once_it_can_be_dated
    what was there at the start reported                  faults of every kind                         1
    strangers not reported                                faults of every kind                         1
    strangers reported again and again                    faults of every kind                         1
    reported without the calls it may belong to           no baseline, and no clock                    1
    closed before it was reported, and silent when it is back
        test_what_nobody_owns_and_is_open_after_all_is_reported_unless_it_was
    who gave up is not looked for                         deadlines                                    1
    who gave up is still waited for                       deadlines                                    1
    given again by an answer                              answers after the time-out                   1
    believes an answer that names what was closed before
        test_an_answer_that_names_what_was_closed_before_the_sending_is_not_believed
    believes an answer that names what was listed before  answers that lie                             1
    an answer that is not believed said yes
        test_an_answer_that_names_anothers_position_says_neither_yes_nor_no
    an answer that is not believed says nothing of others
        test_whoever_opened_what_is_reported_may_have_been_told_anothers
    late answers not heard
        test_a_late_answer_gives_the_position_to_an_attempt_in_doubt
    replaced positions dropped
        test_a_late_answer_of_one_given_anothers_position_frees_its_own
    who trades by an answer keeps no window of its own
        test_an_attempt_that_took_an_equals_place_waits_for_what_either_may_have_opened
    the user's word not heard after the end
        test_an_open_that_ended_undecidable_and_opened_nothing_by_the_users_word_is_not_named_again
    closes: a list within the lag tells                   closes in doubt                              1
    closes: any list tells                                closes in doubt                              1
    closes: still open before the window ends             closes in doubt                              1
    closes: still open within the lag
        test_what_is_shown_after_the_window_and_the_lag_was_not_closed
    closes: still open never said                         closes in doubt                              1
    closes: a 409 decides
        test_an_uncertain_close_decides_nothing_until_a_list_does
    closes: an answer decides nothing
        test_a_close_in_doubt_is_done_once_all_that_it_was_to_close_was_closed_otherwise
    closes: one closed is all closed                      closes in doubt                              1
    closes: what is gone is not said
        test_a_close_in_doubt_is_done_once_a_list_lacks_all_that_it_was_to_close
    closes: a repeat keeps the window of the first
        test_a_close_that_is_in_doubt_again_has_the_window_of_its_last_sending
    shell: TakesServerErrorsForNo                         few at a time                                1
    shell: TakesFailedListsForEmpty                       close-alls in doubt                          1
    shell: TakesDoubtForNo                                faults of every kind                         1
    shell: SendsAgainInDoubt                              faults of every kind                         1
    shell: BelievesStaleLists                             closes in doubt, and a replica that freezes  2
    shell: TakesALostCloseAllForDone                      closes in doubt                              1
    shell: TakesThe409ForClosed                           guards, and closes in doubt                  7
    shell: HandsOverToWhoHasGone                          flatten with deadlines, and no clock         1
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mizar_async._ledger.closes import CloseLedger
from mizar_async._ledger.ledger import Ledger

from ..ledger import test_closes, test_ledger
from .mutants import MUTANTS, SHELLS, Mutant
from .regimes import REGIMES
from .run import Run

pytestmark = pytest.mark.usefixtures("unmeasured")
assert __doc__ is not None
TABLE = {
    name: (regime, int(seeds or 0))
    for name, regime, seeds in re.findall(r"^    (\S.*?)(?:  +|\n        )(\S.*?)(?:  +(\d+))?$", __doc__, re.MULTILINE)
}


Ledgers = tuple[type[Ledger], type[CloseLedger]]
SHIPPED: Ledgers = Ledger, CloseLedger


def is_caught(seed: int, regime: str, run: type[Run], ledgers: Ledgers) -> bool:
    try:
        return bool(run(seed, REGIMES[regime], *ledgers).violations())
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
            values = getattr(case, "values", case if len(names) > 1 else (case,))
            yield dict(zip(names, values, strict=True))


def fails(name: str, ledgers: Ledgers) -> bool:
    """Whether the test of that name fails for such ledgers."""
    test = getattr(test_ledger, name, None) or getattr(test_closes, name)
    ledger, closes = ledgers
    for case in arguments(test):
        given: dict[str, Any] = {}
        wanted = inspect.signature(test).parameters
        if "ledger" in wanted:
            given["ledger"] = ledger()
            test_ledger.listed(given["ledger"], 0.0, 5)
        if "fresh" in wanted:
            given["fresh"] = ledger()
        if "closes" in wanted:
            given["closes"] = closes()
            test_closes.doubt(given["closes"], 7, 1, 2)
        try:
            test(**given, **case)
        except (AssertionError, LookupError):
            return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_in_the_ledgers_is_caught(mutant: Mutant) -> None:
    ledgers = mutant.ledgers()
    found_by, seeds = TABLE[mutant.name]
    if found_by in REGIMES:
        assert any(is_caught(seed, found_by, Run, ledgers) for seed in seeds_from(seeds))
    else:
        assert fails(found_by, ledgers)
        assert not fails(found_by, SHIPPED)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell.__doc__)
def test_a_shell_that_misjudges_the_network_is_caught(shell: type[Run]) -> None:
    regime, seeds = TABLE[f"shell: {shell.__name__}"]
    assert any(is_caught(seed, regime, shell, SHIPPED) for seed in seeds_from(seeds))


def test_the_table_names_every_fault_and_no_other() -> None:
    assert list(TABLE) == [*(mutant.name for mutant in MUTANTS), *(f"shell: {shell.__name__}" for shell in SHELLS)]


def test_most_faults_are_found_by_the_simulation() -> None:
    assert sum(TABLE[mutant.name][0] in REGIMES for mutant in MUTANTS) >= 20
