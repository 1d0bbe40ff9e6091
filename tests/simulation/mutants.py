"""Deliberate faults: the shipped text of the ledger with one passage changed, and shells that misjudge the network."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from unittest import mock

import attrs

from mizar_async._ledger import ledger as shipped
from mizar_async._ledger.closes import CloseLedger
from mizar_async._ledger.events import Listed

from .closer import Closer, Sent
from .run import Call, Run

PACKAGE = Path(shipped.__file__).parent
MODULES = (
    "records",
    "sizes",
    "known",
    "proof",
    "placing",
    "carried",
    "ledger",
    "closes",
)  # each imports only what stands before it


@attrs.frozen
class Mutant:
    """One passage of the ledger, and what stands in its place; the name is that of the rule that is broken."""

    name: str
    passage: str
    instead: str

    def ledgers(self) -> tuple[type[shipped.Ledger], type[CloseLedger]]:
        """The classes as they would be with the fault. Raises if the shipped text does not have the passage once."""
        texts = {name: (PACKAGE / f"{name}.py").read_text() for name in MODULES}
        found = sum(text.count(self.passage) for text in texts.values())
        assert found == 1, f"{self.name}: the passage stands {found} times in the ledger"
        with mock.patch.dict(sys.modules):
            made = {name: _execute(name, text.replace(self.passage, self.instead)) for name, text in texts.items()}
        return made["ledger"].Ledger, made["closes"].CloseLedger


def _execute(name: str, text: str) -> ModuleType:
    spec = importlib.util.spec_from_loader(f"mizar_async._ledger.{name}", loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    exec(compile(text, f"<mutant of {name}>", "exec"), module.__dict__)
    return module


_WINDOW_END = "max(at, attempt.sent + attempt.timeout) + attempt.settle_time"
_REPORT = "return [Unclaimed(position.position_id, attempts)] if new else []"
_PUT_AWAY = "        self._known.put_away(event.position_id, event.at, certain=event.certain)\n"
_UNSEEN = "        if attempt.said_yes or attempt.others_close or self._placing.perhaps_unseen(attempt):\n            return True\n"
_SWEPT = "            self.until = max(self.until, event.until)\n"
_SWEPT_AT_ONCE = "            self.until = max(self.until, sent.at if sent else -math.inf)\n"
_MET = "return bool(self.under_way) or attempt.sent < self.until"
_STALE = "            else:\n                stale = True\n"

# fmt: off
MUTANTS = [
    Mutant("claims forgotten", "        self.holders[position_id] = holder\n        (self", "        (self"),
    Mutant("no settle time", _WINDOW_END, "max(at, attempt.sent + attempt.timeout)"),
    Mutant("settle time counted from sending", _WINDOW_END, "attempt.sent + attempt.settle_time"),
    Mutant("settle time counted from an early reset", _WINDOW_END, "at + attempt.settle_time"),
    Mutant("adopts while a call in flight may own it", "return oldest is not None and self._fits(oldest, position)", "return False"),
    Mutant("waits for the newest call in flight", "heappush(self.queue, (attempt.sequence,", "heappush(self.queue, (-attempt.sequence,"),
    Mutant("last window first", "for index in range(first, len(alike.in_doubt)))", "for index in reversed(range(first, len(alike.in_doubt))))"),
    Mutant("order of ids ignored", "rank = position.rank if ids_grow", "rank = -position.rank if ids_grow"),
    Mutant("order of ids kept though ids do not grow", "rank = position.rank if ids_grow else position.latest", "rank = position.rank"),
    Mutant("floor ignored", "(position.rank > attempt.floor or not self.ids_grow)", "True"),
    Mutant("floor kept though ids do not grow", "self._placing.ids_grow = self._placing.ids_grow and grows", "pass"),
    Mutant("sequence ignored", "attempt.sequence < position.sequence\n            and ", ""),
    Mutant("time of sending ignored", "            and attempt.sent <= position.latest\n", ""),
    Mutant("window end ignored", "position.earliest <= attempt.window_end and ", ""),
    Mutant("sizes compared exactly", "abs(one - other) <= SAME_SIZE * 1.000001", "one == other"),
    Mutant("sizes across the border not looked for", "for step in (0, -1, 1, -2, 2):", "for step in (0,):"),
    Mutant("exact sizes relied on though they are rounded", "self._placing.sizes.exact = self._placing.sizes.exact and exact", "pass"),
    Mutant("rounded sizes given to anyone near", "min(beside, key=lambda one: abs(one.size - size), default=None)", "next(iter(beside), None)"),
    Mutant("near sizes are no candidates", "STEPS = 8\n", "STEPS = 0\n"),
    Mutant("pairs compared with their case", "kind.base_asset.upper(), kind.quote_asset.upper()", "kind.base_asset, kind.quote_asset"),
    Mutant("sides not compared", "kind.quote_asset.upper(), kind.is_long", "kind.quote_asset.upper(), True"),
    Mutant("absence dated by the list's arrival", "self._weigh(here, event.asked_at)", "self._weigh(here, event.at)"),
    Mutant("lag ignored", "attempt.window_end + attempt.lag < self._proof.asked_at", "attempt.window_end < self._proof.asked_at"),
    Mutant("every list is fresh", "        if not stale:\n            self.asked_at", "        if True:\n            self.asked_at"),
    Mutant("a list that lacks an open position is fresh", "stale=stale or len(vanished) < len(lacking)", "stale=stale"),
    Mutant("a list that shows a closed position is fresh", _STALE, ""),
    Mutant("missing once is closed", "missing_since.setdefault(position_id, asked_at) > self._long", "missing_since.setdefault(position_id, asked_at) >= 0.0"),
    Mutant("a list that is cut proves absence", "        if self.was_cut:\n", "        if False:\n"),
    Mutant("a cut list known by ids though they do not grow", "        if ids_grow:\n            return max(lacking)", "        if True:\n            return max(lacking)"),
    Mutant("a 409 closes for good", "if position_id in known.uncertain or self._shown", "if self._shown"),
    Mutant("what is called closed is closed, whatever lists show", " or self._shown_for_long(position_id, asked_at)", ""),
    Mutant("what comes back is known to be open", "(self.leaving if leaving else self.perhaps_closed)[position_id] = as_of", "self.open[position_id] = as_of"),
    Mutant("absent though a position may be its", "if candidates or self._undecidable(attempt):", "if self._undecidable(attempt):"),
    Mutant("a position that fits nobody is reported at once", "if near and near.first_undecided() < self._sequence:", "if near and self._placing.sizes.asked_for(row.kind):"),
    Mutant("reported while it may belong to somebody", "if sequence <= first for p in", "if True for p in"),
    Mutant("unknown while another may prove to be the owner", "        if self._held_up(attempt):\n            return []\n", ""),
    Mutant("waits for what is seen after the proof", "if after < seen[1] and seen[0] <= attempt.proven:", "if after < seen[1]:"),
    Mutant("strays not passed on", "                self._pass_on(near, seen, position)\n", "                pass\n"),
    Mutant("gives first to whom something else may belong", "if not any(self._strays(heir))", "if any(self._strays(heir))"),
    Mutant("absent though it heard yes", _UNSEEN, _UNSEEN.replace("attempt.said_yes or ", "")),
    Mutant("no trade between equals", "        if unseen or not attempt.said_yes:", "        if True:"),
    Mutant("a close-all taints nothing", _MET, "return False"),
    Mutant("a close-all under way taints nothing", _MET, "return attempt.sent < self.until"),
    Mutant("a close-all acts only until it is given up", _SWEPT, _SWEPT_AT_ONCE),
    Mutant("a close-all that was refused taints", "        acted = event.until > (sent.at if sent else -math.inf)\n", "        acted = True\n"),
    Mutant("the taint stays with whom a position is given", " or attempt.sequence < attempt.alike.unsure_below", ""),
    Mutant("after a close-all all is known to be open", "        self.perhaps_closed.update(self.open)\n        self.open.clear()\n", ""),
    Mutant("open again though a close-all may act", "if self._sweeps.were_over(asked_at - self.lag):", "if True:"),
    Mutant("others close, not minded", _UNSEEN, _UNSEEN.replace("attempt.others_close or ", "")),
    Mutant("closed while unowned, and forgotten", _PUT_AWAY, _PUT_AWAY + "        self._placing.take_out(event.position_id)\n"),
    Mutant("closed positions forgotten", "            self.past[position_id] = Past(at, self.holders.pop(position_id, None))\n", "            self.holders.pop(position_id, None)\n"),
    Mutant("the undated adopted without a baseline", "(attempt.anchored or position.dated) and ", ""),
    Mutant("absent without a baseline and a clock", "return reported or not (attempt.anchored or self._clock_on)", "return reported"),
    Mutant("undated for good", "        self._date_again(here)\n", ""),
    Mutant("what was there at the start reported", _REPORT, "return [Unclaimed(position.position_id, attempts)]"),
    Mutant("strangers not reported", _REPORT, "return []"),
    Mutant("strangers reported again and again", "        self._known.others[position.position_id] = position\n", ""),
    Mutant("reported without the calls it may belong to", "tuple(sorted(islice(named, NAMED)))", "()"),
    Mutant("closed before it was reported, and silent when it is back", "return [] if untold is None else", "return [] if True else"),
    Mutant("who gave up is not looked for", "            attempt.waited_for = False\n\n    def _tell", "            self._placing.leave(attempt)\n\n    def _tell"),
    Mutant("who gave up is still waited for", "            attempt.waited_for = False\n\n    def _tell", "            pass\n\n    def _tell"),
    Mutant("given again by an answer", "        if self._known.holder(position_id) is not None:\n            return False\n", ""),
    Mutant("believes an answer that names what was closed before", "if past and past.at <= attempt.sent:", "if False:"),
    Mutant("believes an answer that names what was listed before", "return first_seen > attempt.sequence", "return True"),
    Mutant("an answer that is not believed said yes", "self._put_in_doubt(attempt, event.at, said_yes=False)", "self._put_in_doubt(attempt, event.at, said_yes=True)"),
    Mutant("an answer that is not believed says nothing of others", "            if new and self._answers_err:\n", "            if False:\n"),
    Mutant("late answers not heard", "        if attempt is None:\n            return []\n        if not self._believes", "        if attempt is None or not attempt.in_flight:\n            return []\n        if not self._believes"),
    Mutant("replaced positions dropped", "        self._placing.wait(position, attempt.alike.near)\n", ""),
    Mutant("who trades by an answer keeps no window of its own", "            holder.window_end = max(holder.window_end, self._window_end(attempt, event.at))\n", ""),
    Mutant("the user's word not heard after the end", "        if attempt is None or attempt.position is not None:\n", "        if attempt is None or not attempt.undecided:\n"),
    Mutant("closes: a list within the lag tells", "if event.asked_at - doubt.lag > doubt.sent]", "if event.asked_at > doubt.sent]"),
    Mutant("closes: any list tells", "if event.asked_at - doubt.lag > doubt.sent]", "if True]"),
    Mutant("closes: still open before the window ends", "if asked_at - doubt.lag <= doubt.window_end:", "if asked_at - doubt.lag <= doubt.sent:"),
    Mutant("closes: still open within the lag", "if asked_at - doubt.lag <= doubt.window_end:", "if asked_at <= doubt.window_end:"),
    Mutant("closes: still open never said", "if asked_at - doubt.lag <= doubt.window_end:", "if True:"),
    Mutant("closes: a 409 decides", "        if not event.certain:\n            return []\n        told", "        told"),
    Mutant("closes: an answer decides nothing", "        if not event.certain:\n", "        if True:\n"),
    Mutant("closes: one closed is all closed", "        if self._doubts[call].left:\n            return []\n", ""),
    Mutant("closes: what is gone is not said", "verdicts: list[CloseVerdict] = [Gone(position_id) for position_id in gone]", "verdicts: list[CloseVerdict] = []"),
    Mutant("closes: a repeat keeps the window of the first", "            known.window_end = max(known.window_end, event.window_end)\n", ""),
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


class BelievesStaleLists(Run):
    """A list that may be stale given to the closes in doubt."""

    def _tell_closes(self, event: Listed) -> None:
        self.closer.tell(event)


class Forgetful(Closer):
    def _window_end(self, sent: Sent) -> float:
        return self.time.now


class TakesALostCloseAllForDone(Run):
    """A close-all without an answer taken to act no more."""

    closer_type = Forgetful


class Credulous(Closer):
    def _not_certain(self, number: int, position_id: int) -> None:
        self._closed(number, position_id)


class TakesThe409ForClosed(Run):
    """A 409 taken as certain, and never looked after."""

    closer_type = Credulous


class HandsOverToWhoHasGone(Run):
    """A position handed to a caller that left as it was answered."""

    def _hand_over(self, call: Call, position_id: int) -> None:
        call.handed_over = not call.gave_up


SHELLS = [
    TakesServerErrorsForNo,
    TakesFailedListsForEmpty,
    TakesDoubtForNo,
    SendsAgainInDoubt,
    BelievesStaleLists,
    TakesALostCloseAllForDone,
    TakesThe409ForClosed,
    HandsOverToWhoHasGone,
]
