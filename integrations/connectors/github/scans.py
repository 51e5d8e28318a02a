"""Reads the alerts of a repository list by list and page by page, with a cursor to go on from after any page.

What is guaranteed: every alert that is there from the first call to the last is yielded, once; also where the reading was ended by a
limit or a kill after any page, and goes on from that page's cursor. Lists are read oldest first, so that new alerts come at their end
and are read, too, and without a filter that an alert could leave; an entry that GitHub repeats on the next page is left out. An alert
that changes meanwhile is yielded as it was when its page was read. A page whose cursor was not kept is read again: its findings are
the same then, and the ingest takes them once. One case is left: where somebody deletes alerts of code scanning (with their analysis)
just then, GitHub's numbered pages move up by as many, and an alert at the edge of a page can be missed until the next reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from core.http.door import BadAnswer, Reply, SignInFailed
from integrations.connectors.github.affected import AffectedWalk
from integrations.connectors.github.alerts import AlertKind
from integrations.connectors.github.client import MOST_A_PAGE, Client, NotPermitted, next_link
from integrations.connectors.github.listings import LISTINGS, SECRET_PARAMS, Listing, Step, items_of, name_of, steps_of
from integrations.connectors.github.products import ON_DEFAULT_BRANCH, Product, refusal
from integrations.connectors.github.reading import number, text
from integrations.contract.scans import Problem, ScanItem, ScanPage, ScanQuery, Section


@dataclass
class Place:
    """Where the reading stands; plain JSON."""

    path: str
    ref: str
    """In full, such as refs/heads/main."""
    steps: list[str]
    """The lists that are left; the first is being read."""
    next: str = ""
    """Link to the next page of that list, empty for its first."""
    pages: int = 0
    """So many of its pages were read."""
    known: list[str] = field(default_factory=list)
    """What stood on the page before."""
    told: bool = False
    """The product that is being read has a section already."""
    affected: dict[str, Any] = field(default_factory=dict)
    """Where the reading of global advisories stands."""

    def cursor(self) -> dict[str, Any]:
        """Return it as a cursor, which does not change any more."""
        return {**self.__dict__, "steps": list(self.steps), "known": list(self.known), "affected": dict(self.affected)}


def scan_pages(
    client: Client, query: ScanQuery, products: frozenset[Product], *, anonymous: bool, cursor: Mapping[str, Any] | None = None
) -> Iterator[ScanPage]:
    """Yield what GitHub knows, from behind `cursor` on. Raises OutboundError; what was yielded before stays good."""
    if cursor:
        place = Place(**cursor)
    else:
        place, problems = _start(client, query, products)
        yield ScanPage(tuple(problems), place.cursor())
    walk = _Walk(client, query, place, anonymous=anonymous)
    while place.steps:
        yield ScanPage(tuple(walk.step()), place.cursor())


def _start(client: Client, query: ScanQuery, products: frozenset[Product]) -> tuple[Place, list[Problem]]:
    """Return the first place. The repository is asked for first: that it is unknown, moved or hidden is said in its own words."""
    full_name, believed = query.repository.full_name, query.repository.default_branch
    path = f"/repos/{quote(full_name, safe='/')}"
    found = client.get(path, what=f"the repository {full_name}").json()
    if not isinstance(found, dict) or number(found, "id") is None:
        raise BadAnswer("GitHub answered without the repository. Check that the integration's address is that of its API.")
    default = text(found, "default_branch") or believed
    ref = _full(query.ref or default)
    problems = []
    if ref != _full(default):
        if ref == _full(believed) and products & ON_DEFAULT_BRANCH:
            sentence = (
                f"At GitHub the default branch of {full_name} is {default}, here it is {believed}: what GitHub knows of its default branch"
                f" only was not read. Set the repository's default branch to {default}."
            )
            problems.append(Problem("Default branch", sentence, elsewhere=True))
        products -= ON_DEFAULT_BRANCH
    return Place(path, ref, [str(step) for step in steps_of(products)]), problems


def _full(ref: str) -> str:
    """Return a ref in full: of pull requests, as GitHub names what it merges them to, else of a branch."""
    if ref.startswith("refs/"):
        return ref
    kind, _, rest = ref.partition("/")
    is_pull = kind == "pull" and rest.partition("/")[0].isdigit() and rest.partition("/")[2] in ("merge", "head")
    return f"refs/{ref}" if is_pull else f"refs/heads/{ref}"


class _Walk:
    """Makes one call after the other."""

    def __init__(self, client: Client, query: ScanQuery, place: Place, *, anonymous: bool) -> None:
        self._client, self._query, self._place, self._anonymous = client, query, place, anonymous

    def step(self) -> list[ScanItem]:
        """Read the next page, and set the place behind it. Raises OutboundError; the place stays then."""
        place = self._place
        step = Step(place.steps[0])
        if step is Step.PACKAGES:
            return self._affected()
        listing = LISTINGS[step]
        try:
            reply, entries = self._page(listing)
        except (BadAnswer, SignInFailed) as error:
            return self._refused(listing, error)
        items = list(items_of(listing, entries, place.ref, set(place.known)))
        place.told = place.told or any(isinstance(item, Section) for item in items)
        items += self._turn(listing, entries, next_link(reply))
        return items

    def _page(self, listing: Listing) -> tuple[Reply, list[Any]]:
        place, what = self._place, f"the {listing.product.label} of {self._query.repository.full_name}"
        # an older Enterprise Server does not know hide_secret: its answers must not be kept
        anew = listing.kind is AlertKind.SECRET
        if not place.next:
            reply = self._client.get(place.path + listing.path, listing.query(place.ref), what=what, anew=anew)
        else:
            reply = self._client.follow(place.next, self._hiding(listing), what=what, anew=anew)
        entries = _entries(reply)
        if reply.cached and len(entries) >= MOST_A_PAGE and not next_link(reply):
            # the page is as it was, but that says nothing of whether it is still the last: a page in between may not name its next one
            reply = self._client.follow(reply.url, what=what, anew=True)
            entries = _entries(reply)
        return reply, entries

    def _hiding(self, listing: Listing) -> dict[str, str]:
        """Return what a link lacks so that GitHub leaves the secrets out."""
        if listing.kind is not AlertKind.SECRET or SECRET_PARAMS.items() <= dict(parse_qsl(urlsplit(self._place.next).query)).items():
            return {}
        return SECRET_PARAMS

    def _turn(self, listing: Listing, entries: list[Any], following: str) -> list[Problem]:
        """Set the place to the next page, or the next list."""
        place = self._place
        is_loop, pages = following == place.next, place.pages + 1
        if following and not is_loop and pages < listing.most_pages:
            place.next, place.pages = following, pages
            place.known = [name for name in map(name_of, entries) if name]
            return []
        self._leave()
        if not following or listing.kind is None:
            return []
        why = "GitHub's link to the next page leads to the same page" if is_loop else f"There are more than {pages * MOST_A_PAGE:,}"
        return [Problem(listing.product.label, f"{why}: the rest was not read, and nothing is taken for fixed.")]

    def _leave(self) -> None:
        """Go on to the next list."""
        place = self._place
        left, *place.steps = place.steps
        is_same = bool(place.steps) and _product(place.steps[0]) is _product(left)
        place.next, place.pages, place.known, place.told = "", 0, [], place.told and is_same

    def _refused(self, listing: Listing, error: BadAnswer | SignInFailed) -> list[ScanItem]:
        """Go on behind a list that GitHub does not show. Raises the error where it passes, or is about more than this list."""
        if not error.permanent or (isinstance(error, SignInFailed) and not self._anonymous):
            raise error
        is_first, told = not self._place.pages, self._place.told
        if listing.is_extra and is_first and (listing.kind is None or _is_unknown(error)):
            self._leave()
            return []
        while self._place.steps and _product(self._place.steps[0]) is listing.product:
            self._leave()
        problem = refusal(listing.product, self._query.repository.full_name, error, told=told)
        return [problem] if problem else []

    def _affected(self) -> list[ScanItem]:
        walk = AffectedWalk(self._client, self._query.packages, self._place.affected)
        try:
            items = walk.step()
        except BadAnswer as error:
            if not error.permanent:
                raise
            told = bool(self._place.affected)
            self._leave()
            problem = refusal(Product.PACKAGES, self._query.repository.full_name, error, told=told)
            return [problem] if problem else []
        self._place.affected = walk.place()
        if not walk.has_more:
            self._leave()
        return items


def _is_unknown(error: BadAnswer | SignInFailed) -> bool:
    return isinstance(error, BadAnswer) and not isinstance(error, NotPermitted) and error.status_code in (400, 404, 422)


def _product(step: str) -> Product:
    return Product.PACKAGES if step == Step.PACKAGES else LISTINGS[Step(step)].product


def _entries(reply: Reply) -> list[Any]:
    value = reply.json()
    if not isinstance(value, list):
        raise BadAnswer("GitHub answered without the expected list. Check that the address is that of its API.")
    return value
