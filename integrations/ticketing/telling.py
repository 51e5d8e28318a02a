"""From an event to its ticket: made once, told of changes, closed and opened again. Right when killed at any line, and when told twice.

Per subject the memory of the webhook holds

* `<subject>`          the ticket, and how it stood when it was last told: branches, told facts, event, what was commented
* `<subject>|at work`  reserved while a delivery is at it, so that two never are; left behind by one that was killed
* `<subject>|making`   a ticket may have been made that nobody noted: look for it before another is made
* `<subject>|last`     the last event, so that an older one that is told later changes nothing
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from core.errors import InvalidInput, OutboundError
from core.http.door import surely_undone
from integrations.contract.message import Message, Standing
from integrations.contract.outbound import Memory, NothingToTell, Outcome, OutgoingEvent, Remembered, Reserved
from integrations.contract.telling import busy, order_of
from integrations.messages.tickets import Words, changes_of, comment_of, key_of, mark_of, ticket_messages, told_facts
from integrations.ticketing.rules import OnFix, OnReturn, Rules
from integrations.ticketing.tracker import Ticket, TicketGone, Tracker

_MOST_BRANCHES = 100
_CLOCKS_DIFFER = timedelta(minutes=10)
_NO_BUSINESS = (
    "it is nothing that a ticket is kept for. Tickets are made of finding.opened.single, and of gates, builds, scans and integrations"
    " that fail; what settles these closes them."
)


@dataclass(frozen=True)
class _Known:
    """A ticket as the memory has it."""

    id: str
    name: str = ""
    url: str = ""
    standing: str = Standing.OPEN.value
    branches: tuple[str, ...] = ()
    facts: Mapping[str, str] | None = None
    event: str = ""
    """The last event that was told to its end."""
    commenting: str = ""
    """The event that is being commented, or was."""
    commented: str = ""
    generation: int = 1

    @classmethod
    def of(cls, found: Remembered) -> _Known:
        data = found.data
        names = ("name", "url", "standing", "facts", "event", "commenting", "commented", "generation")
        more = {name: data[name] for name in names if name in data}
        return cls(found.external_id, branches=tuple(data.get("branches", ())), **more)

    def data(self) -> dict[str, Any]:
        shown = {name: value for name, value in self.__dict__.items() if name != "id"}
        return shown | {"branches": list(self.branches), "facts": dict(self.facts or {})}


def tell(tracker: Tracker, event: OutgoingEvent, rules: Rules, memory: Memory) -> Outcome:
    """Tell a tracker of an event. Raises the tracker's errors, and NothingToTell."""
    if event.type == "webhook.test":
        return Outcome(ok=True, status=200, details={"checked": tracker.probe()})
    done: list[Outcome] = []
    reasons: list[str] = []
    for message in ticket_messages(event):
        try:
            done.append(_Telling(tracker, event, message, rules, memory).tell())
        except NothingToTell as nothing:
            reasons.append(nothing.reason)
        else:
            if not done[-1].ok:
                return done[-1]
    if not done:
        raise NothingToTell(reasons[0] if reasons else _NO_BUSINESS)
    return done[0] if len(done) == 1 else Outcome(ok=True, status=200, details={"tickets": [one.details for one in done]})


class _Telling:
    """One message and its ticket."""

    def __init__(self, tracker: Tracker, event: OutgoingEvent, message: Message, rules: Rules, memory: Memory) -> None:
        self._tracker, self._event, self._message, self._rules, self._memory = tracker, event, message, rules, memory
        self._key = key_of(message.subject)

    def tell(self) -> Outcome:
        if self._rules.other_branch(self._message):
            raise NothingToTell(f"it is about the branch {self._message.branch}, which is none of the webhook's branches.")
        lock = f"{self._key}|at work"
        if self._memory.reserve(lock, self._event.holder) is Reserved.BUSY:
            return busy("Another delivery is at the same ticket. This one follows.")
        try:
            return self._in_turn()
        finally:
            self._memory.forget(lock)

    def _in_turn(self) -> Outcome:
        known = self._known()
        if known and known.event == str(self._event.id):
            return _done("told before", known)
        if known is None and self._is_open and self._rules.below_floor(self._message):
            raise NothingToTell(f"the finding's severity is below {self._rules.min_severity}.")
        order = order_of(self._event)
        if self._memory.latest(f"{self._key}|last", order).external_id > order:
            raise NothingToTell("something later about the same was told before.")
        try:
            return self._open(known) if self._is_open else self._settle(known)
        except TicketGone:
            return self._without(known)

    def _without(self, known: _Known | None) -> Outcome:
        """Go on after the ticket was deleted at the platform: what is open gets another one."""
        self._memory.forget(self._key)
        if not self._is_open or self._rules.below_floor(self._message):
            raise NothingToTell("its ticket is not there any more.")
        return self._make(known.generation + 1 if known else 2, None)

    @property
    def _is_open(self) -> bool:
        return self._message.standing is Standing.OPEN

    def _known(self) -> _Known | None:
        found = self._memory.recall(self._key)
        return _Known.of(found) if found and found.external_id else None

    def _keep(self, known: _Known) -> _Known:
        self._memory.replace(self._key, known.id, known.data())
        return known

    # --- it is there --------------------------------------------------------------------------------------------------

    def _open(self, known: _Known | None) -> Outcome:
        making = self._memory.recall(f"{self._key}|making")
        if known is None or (making and making.data.get("generation", 1) > known.generation):
            return self._make(making.data.get("generation", 1) if making else 1, _earlier(known))
        if known.standing == Standing.OPEN.value:
            return self._update(known)
        if self._rules.on_return == OnReturn.NEW:
            return self._make(known.generation + 1, _earlier(known))
        known = self._comment(known, ())
        if self._rules.on_return == OnReturn.REOPEN:
            self._tracker.reopen(known.id)
        kept = self._keep(self._told(known, standing=Standing.OPEN.value, branches=self._branches(())))
        return _done("opened again" if self._rules.on_return == OnReturn.REOPEN else "commented", kept)

    def _update(self, known: _Known) -> Outcome:
        changes = changes_of(known.facts or {}, self._message)
        if changes:
            known = self._comment(known, changes)
        kept = self._keep(self._told(known, branches=self._branches(known.branches)))
        return _done("commented" if changes else "nothing new", kept)

    def _make(self, generation: int, earlier: Words | None) -> Outcome:
        """Make the ticket, unless a try that was cut short made it."""
        note = f"{self._key}|making"
        before = self._memory.recall(note)
        if before and before.data.get("generation", 1) != generation:
            before = None
        began = _moment(before) if before else None
        mark = self._mark(generation, before)
        found = None
        if began is not None or self._tracker.always_finds:
            found = self._tracker.find(mark, began - _CLOCKS_DIFFER if began else None)
        if found is not None and began is None:
            return self._adopt(found, generation)
        if found is None and began is not None and not self._is_settled(began):
            return busy("An earlier try may have made the ticket, which can't be found yet. It is looked for again before one is made.")
        made = found or self._create(mark, generation, earlier)
        kept = self._keep(self._told(_Known(*made, generation=generation), branches=self._branches(())))
        self._memory.forget(note)
        return replace(_done("found what an earlier try made" if found else "made", kept), status=201)

    def _create(self, mark: str, generation: int, earlier: Words | None) -> Ticket:
        note = f"{self._key}|making"
        self._memory.replace(note, datetime.now(UTC).isoformat(), {"generation": generation, "mark": mark})
        try:
            return self._tracker.create(self._message, mark, earlier)
        except (OutboundError, InvalidInput) as error:
            if surely_undone(error) or isinstance(error, TicketGone):
                self._memory.forget(note)
            raise

    def _mark(self, generation: int, making: Remembered | None) -> str:
        """Return the ticket's mark; of one that may be made already, the noted one, whatever the portal's key is by now."""
        return str((making.data.get("mark") if making else "") or mark_of(self._message.subject, generation))

    def _adopt(self, found: Ticket, generation: int) -> Outcome:
        """Go on with a ticket that this webhook does not remember: of a former webhook, say."""
        closed = self._tracker.is_closed(found.id)
        standing = Standing.RESOLVED if closed else Standing.OPEN
        facts = told_facts(self._message)
        return self._open(self._keep(_Known(*found, standing=standing.value, facts=facts, generation=generation)))

    def _is_settled(self, began: datetime) -> bool:
        """Say whether a ticket made then would be found by now."""
        return (datetime.now(UTC) - began).total_seconds() >= self._tracker.settles_in

    # --- it is settled ------------------------------------------------------------------------------------------------

    def _settle(self, known: _Known | None) -> Outcome:
        making = self._memory.recall(f"{self._key}|making")
        if making and (known is None or making.data.get("generation", 1) > known.generation):
            found = self._unnoted(making)
            if found is None and not self._is_settled(_moment(making)):
                return busy("An earlier try may have made the ticket, which can't be found yet. It is looked for again.")
            known = found or known
            self._memory.forget(f"{self._key}|making")
        if known is None:
            raise NothingToTell("there is no ticket of it.")
        left = self._left(known)
        if left:
            kept = self._keep(self._told(known, branches=left))
            return _done(f"nothing yet: it is still reported on {', '.join(left[:5])}", kept)
        if known.standing == Standing.RESOLVED.value:
            return _done("nothing: it was settled before", self._keep(self._told(known)))
        if self._rules.on_fix == OnFix.NOTHING:
            return _done("nothing, as the webhook says", self._keep(self._told(known, standing=Standing.RESOLVED.value, branches=())))
        known = self._comment(known, ())
        if self._rules.on_fix == OnFix.CLOSE:
            self._tracker.close(known.id)
        kept = self._keep(self._told(known, standing=Standing.RESOLVED.value, branches=()))
        return _done("closed" if self._rules.on_fix == OnFix.CLOSE else "commented", kept)

    def _unnoted(self, making: Remembered) -> _Known | None:
        """Return the ticket that a try made which was cut short, None where none is found."""
        generation = making.data.get("generation", 1)
        found = self._tracker.find(self._mark(generation, making), _moment(making) - _CLOCKS_DIFFER)
        return self._keep(_Known(*found, facts=told_facts(self._message), generation=generation)) if found else None

    def _left(self, known: _Known) -> tuple[str, ...]:
        """Return the branches that it is still reported on; a decision of people is about all of them."""
        if not self._event.type.startswith("finding.fixed") or not self._message.branch:
            return ()
        return tuple(one for one in known.branches if one != self._message.branch)

    # --- both ---------------------------------------------------------------------------------------------------------

    def _branches(self, before: tuple[str, ...]) -> tuple[str, ...]:
        found = dict.fromkeys([*before, self._message.branch])
        return tuple(one for one in found if one)[:_MOST_BRANCHES]

    def _told(self, known: _Known, **changes: Any) -> _Known:
        facts = told_facts(self._message) if self._is_open else known.facts
        return replace(known, event=str(self._event.id), facts=facts, **changes)

    def _comment(self, known: _Known, changes: tuple[str, ...]) -> _Known:
        """Comment once, also when a try was cut short between the comment and its note."""
        event = str(self._event.id)
        if known.commented == event:
            return known
        if known.commenting != event or not self._tracker.has_comment(known.id, event):
            known = self._keep(replace(known, commenting=event))
            self._tracker.comment(known.id, comment_of(self._message, changes))
        return self._keep(replace(known, commented=event))


def _moment(making: Remembered) -> datetime:
    return datetime.fromisoformat(making.external_id)


def _earlier(known: _Known | None) -> Words | None:
    return Words(known.name or known.id, known.url) if known else None


def _done(what: str, known: _Known) -> Outcome:
    return Outcome(ok=True, status=200, details={"ticket": known.name or known.id, "url": known.url, "did": what})
