"""What the ledger is put through. In all: requests and answers lost or late, outages, lists that lag or fail."""

from __future__ import annotations

from .run import Regime
from .venue import ECHOED, FLOATS, FOUR_DIGITS

REGIMES = {
    "faults of every kind": Regime(),
    "deadlines": Regime(deadline=4.0),
    "our own close-all": Regime(sweeps=True),
    "flatten": Regime(flattens=True),
    "delivered after the settle time": Regime(held_too_long=0.3),
    "others close, as declared": Regime(others_close=True),
    "a venue at 60 times our rate": Regime(speed=60.0),
    "sizes and pairs echoed in another form": Regime(echoes=ECHOED),
    "no baseline": Regime(baseline=False),
    "no baseline, and no clock": Regime(baseline=False, speed=60.0),
    "a replica that freezes": Regime(replica_freezes=True, settle=0.5, faults=0.3),
    "strangers open the same": Regime(strangers_alike=True),
    "answers after the time-out": Regime(late_answers=True),
    "settle times and lags that differ": Regime(mixed_options=True),
    "flatten with deadlines, and no clock": Regime(flattens=True, deadline=4.0, speed=60.0),
    "close-all with late answers": Regime(sweeps=True, late_answers=True),
    "closes in doubt": Regime(closes_fail=0.5),
    "close-alls in doubt": Regime(sweeps=True, closes_fail=0.6),
    "flatten, and closes in doubt": Regime(flattens=True, closes_fail=0.5),
    "guards, and closes in doubt": Regime(guards=True, closes_fail=0.3, deadline=4.0),
    "closes in doubt, and a replica that freezes": Regime(closes_fail=0.5, replica_freezes=True, settle=0.5),
    "callers that leave as they are answered": Regime(cancels=True),
    "answers that lie": Regime(lies=0.1),
    "a clock that steps": Regime(clock_steps=True),
    "hosts whose clocks differ": Regime(hosts=0.05),
    "sizes echoed as short floats": Regime(echoes=FLOATS),
    "sizes echoed with four digits": Regime(echoes=FOUR_DIGITS),
    "random ids": Regime(ids_grow=False),
    "random ids, and no clock": Regime(ids_grow=False, speed=60.0),
    "lists that are cut": Regime(cuts=True),
    "no two alike": Regime(all_differ=True, opens=150, faults=0.6),
    "no two alike, and close-alls in doubt": Regime(
        all_differ=True, opens=150, faults=0.6, sweeps=True, closes_fail=0.8
    ),
    "no two alike, and a clock that steps": Regime(all_differ=True, opens=150, faults=0.6, clock_steps=True),
    "no two alike, closes and answers late": Regime(
        all_differ=True, opens=150, faults=0.6, closes_fail=0.5, late_answers=True, flattens=True
    ),
    # Aimed at single rules: without them they would be broken only now and then.
    "lists far behind": Regime(lag=3.0, true_lag=3.0, settle=0.5, faults=0.6),
    "few at a time": Regime(workers=2, opens=60, faults=0.6),
}
