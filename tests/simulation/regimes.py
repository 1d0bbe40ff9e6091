"""What the ledger is put through. In all: requests and answers lost or late, outages, lists that lag or fail."""

from __future__ import annotations

from .run import Regime

REGIMES = {
    "faults of every kind": Regime(),
    "deadlines": Regime(deadline=4.0),
    "our own close-all": Regime(sweeps=True),
    "flatten": Regime(flattens=True),
    "delivered after the settle time": Regime(held_too_long=0.3),
    "others close, as declared": Regime(others_close=True),
    "a venue at 60 times our rate": Regime(speed=60.0),
    "sizes and pairs echoed in another form": Regime(echoes=True),
    "no baseline": Regime(baseline=False),
    "no baseline, and no clock": Regime(baseline=False, speed=60.0),
    "a replica that freezes": Regime(replica_freezes=True, settle=0.5, faults=0.3),
    "strangers open the same": Regime(strangers_alike=True),
    "answers after the time-out": Regime(late_answers=True),
    "settle times and lags that differ": Regime(mixed_options=True),
    "flatten with deadlines, and no clock": Regime(flattens=True, deadline=4.0, speed=60.0),
    "close-all with late answers": Regime(sweeps=True, late_answers=True),
    # Aimed at single rules: without them they would be broken only now and then.
    "lists far behind": Regime(lag=3.0, true_lag=3.0, settle=0.5, faults=0.6),
    "few at a time": Regime(workers=2, opens=60, faults=0.6),
}
