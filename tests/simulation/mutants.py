"""Deliberate faults: the shipped text of the ledger with one passage changed, and shells that misjudge the network."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from unittest import mock

import attrs

from mizar_async._ledger import ledger as shipped

from .run import Run

PACKAGE = Path(shipped.__file__).parent
MODULES = "records", "ledger"  # the ledger last: it imports the other


@attrs.frozen
class Mutant:
    """One passage of the ledger, and what stands in its place; the name is that of the rule that is broken."""

    name: str
    passage: str
    instead: str

    def ledger(self) -> type[shipped.Ledger]:
        """The class as it would be with the fault. Raises if the shipped text does not have the passage once."""
        texts = {name: (PACKAGE / f"{name}.py").read_text() for name in MODULES}
        found = sum(text.count(self.passage) for text in texts.values())
        assert found == 1, f"{self.name}: the passage stands {found} times in the ledger"
        with mock.patch.dict(sys.modules):
            for name, text in texts.items():
                module = _execute(name, text.replace(self.passage, self.instead))
        mutated: type[shipped.Ledger] = module.Ledger
        return mutated


def _execute(name: str, text: str) -> ModuleType:
    spec = importlib.util.spec_from_loader(f"mizar_async._ledger.{name}", loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    exec(compile(text, f"<mutant of {name}>", "exec"), module.__dict__)
    return module


_WINDOW_END = "max(at, attempt.sent + attempt.timeout) + attempt.settle_time"
_REPORT = "return [Unclaimed(position.position_id, attempts)] if new else []"
_PUT_AWAY = "        self._known.put_away(event.position_id, event.at, certain=True)\n"
_DROP_UNOWNED = (
    "        if alike := self._unowned.pop(event.position_id, None):\n            alike.drop(event.position_id)\n"
)
_BLOCKED = "            if any(self._may_have_opened(attempt, position) for position in alike.waiting.values()):\n"

# fmt: off
MUTANTS = [
    Mutant("claims forgotten", "            self.holders[position_id] = attempt\n            self.open", "            self.open"),
    Mutant("no settle time", _WINDOW_END, "max(at, attempt.sent + attempt.timeout)"),
    Mutant("settle time counted from sending", _WINDOW_END, "attempt.sent + attempt.settle_time"),
    Mutant("settle time counted from an early reset", _WINDOW_END, "at + attempt.settle_time"),
    Mutant("adopts while a call in flight may own it", "return oldest is not None and self._may_have_opened(oldest, position)", "return False"),
    Mutant("waits for the newest call in flight", "return self.sent[0] if self.sent", "return self.sent[-1] if self.sent"),
    Mutant("last window first", "for index in range(first, len(alike.in_doubt)))", "for index in reversed(range(first, len(alike.in_doubt))))"),
    Mutant("order of ids ignored", "heappush(self.order, (position.rank,", "heappush(self.order, (-position.rank,"),
    Mutant("floor ignored", "(position.rank > attempt.floor or not self._ids_grow)", "True"),
    Mutant("floor kept though ids do not grow", "            self._ids_grow = False\n", "            pass\n"),
    Mutant("sequence ignored", "attempt.sequence < position.sequence\n            and ", ""),
    Mutant("time of sending ignored", "            and attempt.sent <= position.latest\n", ""),
    Mutant("window end ignored", "position.earliest <= attempt.window_end and ", ""),
    Mutant("sizes compared exactly", "abs(one - other) <= SAME_SIZE * 1.000001", "one == other"),
    Mutant("sizes across the border not looked for", "for step in (0, -1, 1, -2, 2):", "for step in (0,):"),
    Mutant("pairs compared with their case", "kind.base_asset.upper(), kind.quote_asset.upper()", "kind.base_asset, kind.quote_asset"),
    Mutant("sides not compared", "kind.quote_asset.upper(), kind.is_long,", "kind.quote_asset.upper(), True,"),
    Mutant("absence dated by the list's arrival", "self._prove(here, asked_at)", "self._prove(here, self._now)"),
    Mutant("lag ignored", "if attempt.window_end + attempt.lag < self._proven_at", "if attempt.window_end < self._proven_at"),
    Mutant("every list is fresh", "        if not stale:\n", "        if True:\n"),
    Mutant("a list that lacks an open position is fresh", "                stale = True\n", "                pass\n"),
    Mutant("a list that shows a closed position is fresh", "stale = self._known.contradicts(here, as_of)", "stale = False"),
    Mutant("missing once is closed", "> 4 * self._lag + 2.0", ">= 0.0"),
    Mutant("absent while a position may be its", _BLOCKED, "            if False:\n"),
    Mutant("absent though it heard yes", "if attempt.said_yes or attempt.others_close or", "if attempt.others_close or"),
    Mutant("no trade between equals", "        if unseen or not attempt.said_yes:", "        if True:"),
    Mutant("a close-all taints nothing", "return attempt.sequence <= self._swept_until or attempt.sequence <", "return False and attempt.sequence <"),
    Mutant("the taint stays with whom a position is given", " or attempt.sequence < attempt.alike.swept_below", ""),
    Mutant("after a close-all all is known to be open", "        self.perhaps_swept.update(self.open)\n        self.open.clear()\n", ""),
    Mutant("others close, not minded", "if attempt.said_yes or attempt.others_close or", "if attempt.said_yes or"),
    Mutant("closed while unowned, and forgotten", _PUT_AWAY, _DROP_UNOWNED + _PUT_AWAY),
    Mutant("closed positions forgotten", "        self.past[position_id] = Past(at, certain, holder)\n", ""),
    Mutant("the undated adopted without a baseline", "(attempt.anchored or position.dated) and ", ""),
    Mutant("absent without a baseline and a clock", "return not (attempt.anchored or self._clock_on)", "return False"),
    Mutant("undated for good", "        self._date_again(here)\n", ""),
    Mutant("what was there at the start reported", _REPORT, "return [Unclaimed(position.position_id, attempts)]"),
    Mutant("strangers not reported", _REPORT, "return []"),
    Mutant("strangers reported again and again", "        self._known.others.add(position.position_id)\n", ""),
    Mutant("reported without the calls it may belong to", "tuple(sorted(islice(named, NAMED)))", "()"),
    Mutant("who gave up is not looked for", "            attempt.waited_for = False\n\n    def _close", "            self._leave(attempt)\n\n    def _close"),
    Mutant("who gave up is still waited for", "            attempt.waited_for = False\n\n    def _close", "            pass\n\n    def _close"),
    Mutant("given again by a late answer", "        holder = self._known.holder(event.position_id)\n", "        holder = None\n"),
    Mutant("late answers not heard", "        if attempt is None:\n            return []\n        if event", "        if attempt is None or not attempt.in_flight:\n            return []\n        if event"),
    Mutant("replaced positions dropped", "            self._wait(attempt.alike, taken.or_else(", "            (taken.or_else("),
]
# fmt: on


class TakesServerErrorsForNo(Run):
    """5xx as a refusal."""

    def _server_error(self, number: int) -> None:
        self._refused(number)


class TakesFailedListsForEmpty(Run):
    """A list that failed as one without positions."""

    def _list_failed(self, asked_at: float) -> None:
        self._listed(asked_at, [])


class TakesDoubtForNo(Run):
    """Time-outs, resets and broken bodies as refusals."""

    def _doubted(self, number: int, said_yes: bool = False) -> None:
        self._refused(number)


class SendsAgainInDoubt(Run):
    """An open in doubt sent once more."""

    def _doubted(self, number: int, said_yes: bool = False) -> None:
        if number in self.ledger.in_flight and self.rng.random() < 0.5:
            self.venue.open(self.calls[number].kind, number)
        super()._doubted(number, said_yes)


SHELLS = [TakesServerErrorsForNo, TakesFailedListsForEmpty, TakesDoubtForNo, SendsAgainInDoubt]
