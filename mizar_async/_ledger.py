"""What became of each open of one strategy: pure, events in and verdicts out."""

from __future__ import annotations

import math
from decimal import Decimal

import attrs


@attrs.frozen
class Kind:
    """Opens of one kind are alike in every parameter: which of them gets which position does not matter."""

    base_asset: str
    quote_asset: str
    size: Decimal
    is_long: bool


@attrs.frozen
class Row:
    """One open position of a listing. `earliest` and `latest` bound its opening on our timeline (-inf, inf: not known)."""

    position_id: int
    kind: Kind
    earliest: float
    latest: float


# -- events ------------------------------------------------------------------------------------------


@attrs.frozen
class Sending:
    """An open is about to leave. Recorded before the first byte."""

    attempt: int
    kind: Kind
    at: float
    timeout: float
    settle_time: float
    listing_lag: float
    others_close: bool


@attrs.frozen
class Answered:
    """The server said yes, and which position it is."""

    attempt: int
    position_id: int
    at: float


@attrs.frozen
class Refused:
    """It is certain that the server did not act on the attempt."""

    attempt: int


@attrs.frozen
class Doubted:
    """No usable answer. `said_yes`: a 2xx status was seen, and the body was lost."""

    attempt: int
    at: float
    said_yes: bool = False


@attrs.frozen
class GaveUp:
    """The caller no longer waits (deadline, cancelled); the search goes on."""

    attempt: int


@attrs.frozen
class Closing:
    """A close of the position is about to leave: from now on it may be absent for our own reason."""

    position_id: int


@attrs.frozen
class Closed:
    """The position is certainly closed."""

    position_id: int
    at: float


@attrs.frozen
class Swept:
    """A close-all of the strategy is about to leave, or has just ended: what is in doubt may be opened and closed unseen."""

    at: float


@attrs.frozen
class Listed:
    """A whole, valid list of the open positions, asked for at `asked_at` and read at `at`."""

    asked_at: float
    at: float
    rows: tuple[Row, ...]
    clock_on: bool = True


Event = Sending | Answered | Refused | Doubted | GaveUp | Closing | Closed | Swept | Listed


# -- verdicts ----------------------------------------------------------------------------------------


@attrs.frozen
class Opened:
    """The attempt owns the position. `waited_for` is False if its caller had given up."""

    attempt: int
    position_id: int
    waited_for: bool


@attrs.frozen
class Absent:
    """The attempt opened nothing, for certain."""

    attempt: int
    waited_for: bool


@attrs.frozen
class Undecidable:
    """The attempt's window has passed, and no listing can ever tell (closed unseen, clock off, others close)."""

    attempt: int
    waited_for: bool
    candidates: tuple[int, ...]


@attrs.frozen
class Unclaimed:
    """A position that no attempt may own; `attempts` are those that it may belong to all the same."""

    position_id: int
    attempts: tuple[int, ...]


@attrs.frozen
class Vanished:
    """A position that was known to be open has been missing from listings for long: closed elsewhere."""

    position_id: int


Verdict = Opened | Absent | Undecidable | Unclaimed | Vanished


@attrs.define(eq=False)
class _Attempt:
    event: Sending
    kind: tuple
    seq: int
    floor: int | None
    until: float = math.inf
    said_yes: bool = False
    waited_for: bool = True
    swept: bool = False


@attrs.define(eq=False)
class _Loose:
    pid: int
    kind: tuple
    mark: int
    lo: float
    hi: float


def _key(kind: Kind) -> tuple:
    return (kind.base_asset.upper(), kind.quote_asset.upper(), round(float(kind.size) * 1e8), kind.is_long)


class Ledger:
    def __init__(self):
        self.seq = 0
        self.top = -1
        self.ids_grow = True
        self.has_baseline = False
        self.flying: dict[int, _Attempt] = {}
        self.doubt: dict[int, _Attempt] = {}
        self.owners: dict[int, int] = {}
        self.loose: dict[int, _Loose] = {}
        self.others: set[int] = set()
        self.known: dict[int, float] = {}
        self.missing: dict[int, float] = {}
        self.shut: dict[int, float] = {}
        self.proven_until = -math.inf
        self.lag = 1.0

    @property
    def waits(self):
        return bool(self.doubt or self.loose)

    @property
    def in_flight(self):
        return self.flying.keys()

    @property
    def in_doubt(self):
        return self.doubt.keys()

    def owner(self, pid):
        return self.owners.get(pid)

    def candidates(self, attempt):
        a = self.doubt.get(attempt) or self.flying.get(attempt)
        return tuple(sorted(s.pid for s in self.loose.values() if a and (self._may(a, s) or self._perhaps(a, s))))

    def take(self, event):
        out = []
        match event:
            case Sending():
                self.seq += 1
                self.lag = event.listing_lag
                floor = (self.top if self.ids_grow else -1) if self.has_baseline else None
                self.flying[event.attempt] = _Attempt(event, _key(event.kind), self.seq, floor)
            case Answered():
                a = self.flying.pop(event.attempt, None) or self.doubt.pop(event.attempt, None)
                if a and a.floor is not None and event.position_id <= a.floor:
                    self.ids_grow = False
                self.owners[event.position_id] = event.attempt
                self.loose.pop(event.position_id, None)
                self.others.discard(event.position_id)
                self.known[event.position_id] = event.at
                self.top = max(self.top, event.position_id)
                out.append(Opened(event.attempt, event.position_id, True))
                self._think(out)
            case Refused():
                self.flying.pop(event.attempt, None)
                self._think(out)
            case Doubted():
                a = self.flying.pop(event.attempt, None)
                if a:
                    a.said_yes = event.said_yes
                    a.until = event.at if event.said_yes else max(event.at, a.event.at + a.event.timeout) + a.event.settle_time
                    self.doubt[event.attempt] = a
                self._think(out)
            case GaveUp():
                pass
            case Closing():
                self.known.pop(event.position_id, None)
                self.missing.pop(event.position_id, None)
            case Closed():
                for d in (self.known, self.missing, self.owners, self.loose):
                    d.pop(event.position_id, None)
                self.others.discard(event.position_id)
                self.shut[event.position_id] = event.at
                while self.shut and next(iter(self.shut.values())) < event.at - 60:
                    del self.shut[next(iter(self.shut))]
            case Swept():
                for a in (*self.flying.values(), *self.doubt.values()):
                    a.swept = True
                self.known.clear()
                self.missing.clear()
            case Listed():
                self._listed(event, out)
        return out

    def _listed(self, e, out):
        self.seq += 1
        asof = e.asked_at - self.lag
        here, stale = set(), False
        first = not self.has_baseline and not self.flying and not self.doubt
        for row in e.rows:
            pid = row.position_id
            here.add(pid)
            self.top = max(self.top, pid)
            if pid in self.shut:
                stale |= self.shut[pid] <= asof
            elif pid not in self.owners and pid not in self.loose and pid not in self.others:
                if first:
                    self.others.add(pid)
                else:
                    self.loose[pid] = _Loose(pid, _key(row.kind), self.seq, row.earliest, row.latest)
        for pid, since in list(self.known.items()):
            if pid in here:
                self.missing.pop(pid, None)
            elif since <= asof:
                if e.asked_at - self.missing.setdefault(pid, e.asked_at) <= 4 * self.lag + 2:
                    stale = True
                else:
                    del self.known[pid], self.missing[pid]
                    self.owners.pop(pid, None)
                    out.append(Vanished(pid))
        self.has_baseline = True
        if not stale:
            self.proven_until = max(self.proven_until, asof)
            for pid in self.others - here:
                self.others.discard(pid)
        self._think(out)

    def _may(self, a, s):
        if a.kind != s.kind or a.seq >= s.mark:
            return False
        if a.floor is None and (s.lo == -math.inf or s.hi == math.inf):
            return False
        return s.pid > (a.floor if a.floor is not None and self.ids_grow else -1) and a.event.at <= s.hi and s.lo <= a.until

    def _perhaps(self, a, s):
        return a.kind == s.kind and a.floor is None and (s.lo == -math.inf or s.hi == math.inf) and a.seq < s.mark

    def _think(self, out):
        stop = set()
        for s in sorted(self.loose.values(), key=lambda s: s.pid):
            if s.kind in stop:
                continue
            if any(self._may(f, s) for f in self.flying.values()):
                stop.add(s.kind)
                continue
            cands = [a for a in self.doubt.values() if self._may(a, s)]
            if cands:
                a = min(cands, key=lambda a: (a.until, a.seq))
                del self.doubt[a.event.attempt]
                for b in cands:
                    b.swept |= a.swept
                self.owners[s.pid] = a.event.attempt
                del self.loose[s.pid]
                self.known[s.pid] = self.proven_until
                out.append(Opened(a.event.attempt, s.pid, True))
            elif not any(self._perhaps(a, s) for a in (*self.doubt.values(), *self.flying.values())):
                del self.loose[s.pid]
                self.others.add(s.pid)
                out.append(Unclaimed(s.pid, ()))
        for a in list(self.doubt.values()):
            if a.until <= self.proven_until:
                near = [s.pid for s in self.loose.values() if self._may(a, s)]
                if near:
                    continue
                perhaps = tuple(s.pid for s in self.loose.values() if self._perhaps(a, s))
                del self.doubt[a.event.attempt]
                if a.said_yes or a.swept or a.event.others_close or perhaps:
                    out.append(Undecidable(a.event.attempt, True, perhaps))
                else:
                    out.append(Absent(a.event.attempt, True))
