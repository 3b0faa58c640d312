"""The registry: versions and stages of a model, all read from release tags with one call of git."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from perenne.common import git
from perenne.common.errors import PerenneError, hint, warn
from perenne.common.names import MODEL, RELEASED
from perenne.documents.proof import Proof, ProvenModel
from perenne.registry import grammar, withdrawals
from perenne.registry.grammar import ROOM, Kind, Name, is_name, parse, precedence

# NUL ends every field: neither a ref nor a message can hold one.
FIELDS = (
    "%(refname:strip=2)",
    "%(tag)",  # the name in the tag object: a copy under another ref does not count, even if it is signed
    "%(*objecttype)",  # empty for a lightweight tag
    "%(*objectname)",
    "%(taggername) %(taggeremail)",
    "%(taggerdate:raw)",  # in any other form, a date that Git cannot hold ends the whole list
    "%(contents:signature)",
    "%(contents)",
)

MOST = 1_000_000  # characters of a proof: reading more takes minutes
TOO_LONG = re.compile(r"(?:@v|#[^#]*#)[0-9.]*[0-9]{13}.*", re.DOTALL)  # after the model
NO_YEAR = 3000  # no clock is set so late, and each tag that is made must be dated after all others


class TagEvent(NamedTuple):
    """An annotated tag: what its name says, its commit, when it was made and by whom."""

    tag: str
    kind: Kind
    subject: str
    counter: int
    commit: str
    at: datetime
    who: str
    message: str
    signed: bool


class TaggedModel(NamedTuple):
    """A model file of a version's commit, with the sha256 that its tag says."""

    path: Path
    sha256: str

    @property
    def card(self) -> Path:
        """The model card beside it."""
        return self.path.with_suffix(".json")


class Version(NamedTuple):
    """A registered version.

    `signed`: the tag carries a signature; `git verify-tag` says whose it is, and whether it is good.
    """

    name: str
    version: str
    commit: str
    at: datetime
    who: str
    message: str
    proof_text: str | None
    signed: bool
    tag: str

    @property
    def proof(self) -> Proof | None:
        """The proof in the tag's message, None without one; parsed on each use, which takes 4 ms.

        Anybody who can push may have written it. One that cannot be read says nothing, and costs a warning.
        Listing versions does not read it.
        """
        try:
            return self._proof()
        except PerenneError as error:
            warn(f"{error}; it says nothing")
            return None

    @property
    def proven(self) -> TaggedModel:
        """The model that the gate judged, which had not seen the holdout.

        Raises
        ------
        PerenneError
            If the tag holds no proof or no sha256, or the proof cannot be read.

        """
        return TaggedModel(MODEL, self._sha256(self._needed().model))

    @property
    def released(self) -> TaggedModel:
        """The model that is put to use: the proven one, or the same recipe fitted on the holdout as well.

        Raises
        ------
        PerenneError
            As `proven`.

        """
        refitted = self._needed().released
        return self.proven if refitted is None else TaggedModel(RELEASED, self._sha256(refitted))

    def _needed(self) -> Proof:
        proof = self._proof()
        if proof is None:
            raise PerenneError(f"{self.tag}: the tag holds no proof; perenne release makes tags that do")
        return proof

    def _sha256(self, file: ProvenModel) -> str:
        if file.sha256 is None:
            raise PerenneError(f"{self.tag}: the tag holds no sha256 of the model, so it proves nothing")
        return file.sha256

    def _proof(self) -> Proof | None:
        if self.proof_text is None:
            return None
        if len(self.proof_text) > MOST:
            raise PerenneError(
                f"the proof in the tag {self.tag}: {len(self.proof_text)} characters, at most {MOST} are read"
            )
        return Proof.from_yaml(self.proof_text, f"the proof in the tag {self.tag}")


class Assignment(NamedTuple):
    """A version put in a stage. `active`: neither the assignment nor the version was cancelled later."""

    version: Version
    commit: str
    at: datetime
    who: str
    message: str
    tag: str
    active: bool


@dataclass(frozen=True)
class Registry:
    """The versions and stages of one model, derived from its events, oldest first.

    Events are in order of their date; within a second by counter, then a cancellation after what it cancels.
    `taken` are the names that no new tag can have, whatever the tags say.
    """

    name: str
    events: tuple[TagEvent, ...]
    taken: frozenset[Name]

    def counters(self) -> Iterator[int]:
        """Yield the numbers of the next tags that change a stage, in rising order; no tag has one of them."""
        used = {name.counter for name in self.taken}
        first = 1 + max((counter for counter in used if counter < ROOM), default=0)
        return (counter for counter in itertools.count(first) if counter not in used)

    def is_taken(self, version: str) -> bool:
        """Return whether no new tag can register a version."""
        return any(name.subject == version for name in self.taken)

    @cached_property
    def registered(self) -> dict[str, Version]:
        """Every version that was ever registered, deregistered ones as well: their names are taken."""
        every = [e for e in (*self.events, *self._latest.values()) if e.kind == "register"]
        return {event.subject: _version(self.name, event) for event in every}

    @cached_property
    def versions(self) -> list[Version]:
        """The versions that are registered now, the highest first."""
        active = [v for v in self.registered.values() if self._latest[v.version].kind == "register"]
        return sorted(active, key=lambda version: precedence(version.version), reverse=True)

    @cached_property
    def deprecated(self) -> TagEvent | None:
        """The tag that deprecates the model, if no version was registered after it."""
        last = next((e for e in reversed(self.events) if e.kind in ("register", "deprecate")), None)
        return last if last and last.kind == "deprecate" else None

    def in_stage(self, stage: str) -> Version | None:
        """Return the version in a stage: of the active assignments, the last; None if there is none."""
        return next((one.version for one in reversed(self.history(stage)) if one.active), None)

    def stages(self, version: Version) -> list[str]:
        """Return the stages that a version is in."""
        return [s for s, holder in self._holders.items() if holder and holder.version == version.version]

    @cached_property
    def _holders(self) -> dict[str, Version | None]:
        """The version in each stage that was ever used."""
        known = sorted({event.subject for event in self.events if event.kind == "assign"})
        return {stage: self.in_stage(stage) for stage in known}

    @cached_property
    def assigned(self) -> set[str]:
        """The commits that were ever put in a stage."""
        return {event.commit for event in self.events if event.kind == "assign"}

    def history(self, stage: str) -> list[Assignment]:
        """Return every assignment to a stage, oldest first; commits without a version are left out."""
        events = [e for e in self.events if e.kind in ("assign", "unassign") and e.subject == stage]
        latest = {event.commit: event for event in events}
        active = set() if self.deprecated else {version.version for version in self.versions}
        return [
            Assignment(
                v, e.commit, e.at, e.who, e.message, e.tag, e is latest[e.commit] and v.version in active
            )
            for e in events
            if e.kind == "assign" and (v := self._by_commit.get(e.commit))
        ]

    def find(self, text: str) -> Version:
        """Return the version that a text names: `v1.2.0`, `1.2.0`, `retirement@v1.2.0`, or its stage.

        Raises
        ------
        PerenneError
            If there is none; with what was meant, or who deregistered it.

        """
        wanted = text.removeprefix(f"{self.name}@")
        number = f"v{wanted.removeprefix('v')}"
        active = {version.version: version for version in self.versions}
        version = active.get(number) or self.in_stage(wanted)
        if version:
            return version
        gone = self._latest.get(number)
        if gone:
            raise PerenneError(f"{text}: {gone.who} deregistered it on {gone.at:%Y-%m-%d} by {gone.tag}")
        stages = {stage for version in self.versions for stage in self.stages(version)}
        raise PerenneError(f"{text}: no version or stage of {self.name}; {hint(wanted, {*active, *stages})}")

    @cached_property
    def _latest(self) -> dict[str, TagEvent]:
        """The tag that decides for each version: the first that registers it, or the one that deregisters it.

        Registering a registered version again changes nothing: a version in use stays the same.
        """
        latest: dict[str, TagEvent] = {}
        for event in self.events:
            before = latest.get(event.subject)
            if event.kind in ("register", "deregister") and (before is None or before.kind != event.kind):
                latest[event.subject] = event
        return latest

    @cached_property
    def _by_commit(self) -> dict[str, Version]:
        """The version of each commit; of several (GTO does not allow that) an active one."""
        every = [*self.registered.values(), *reversed(self.versions)]
        return {version.commit: version for version in every}


def read(name: str) -> Registry:
    """Read the registry of one model from the local tags; `fetch` brings those of the remote.

    Parameters
    ----------
    name
        The model, which is the case. One of its tags that cannot be read says nothing, and costs a warning.

    Raises
    ------
    PerenneError
        If the name cannot be part of a release tag.

    """
    if not is_name(name):
        raise PerenneError(
            f"{name!r} cannot be part of a release tag: use letters and digits, with -, _ or / between them"
        )
    listed = git.git("for-each-ref", f"--format={'%00'.join(FIELDS)}%00", "refs/tags").split("\0")
    tags = [listed[i : i + len(FIELDS)] for i in range(0, len(listed) - 1, len(FIELDS))]
    parsed = [(tag, fields) for ref, *fields in tags if (tag := parse(ref.strip())) and tag.model == name]
    events = [event for tag, fields in parsed if (event := _event(tag, *fields))]
    names = [ref.strip() for ref, *_ in tags if ref.strip().startswith(name)]
    for ref in names:
        if TOO_LONG.fullmatch(ref.removeprefix(name)):
            warn(f"the tag {ref:.60} says nothing: it has a number of more than 12 digits")
    # The others do not count, but their names are taken.
    taken = frozenset(tag for ref in names for tag in grammar.taken(ref) if tag.model == name)
    return Registry(name, tuple(sorted(events, key=_order)), taken)


def fetch() -> None:
    """Fetch the tags of the remote, if there is one. A tag that differs here is an error, not replaced.

    Other tags than release tags may differ: many projects move `latest` or `nightly`.

    Raises
    ------
    PerenneError
        If a release tag differs, or was withdrawn from the remote, or the remote cannot be reached.

    """
    remote = git.remote()
    if remote is None:
        return
    try:
        # Whatever fetch.prune says: by this refspec it would delete the tags that the remote lacks.
        git.git("fetch", "--no-prune", remote, "refs/tags/*:refs/tags/*")
    except PerenneError:
        here, there = ids(), ids(remote)
        lacking = [tag for tag in there if parse(tag) and here.get(tag) != there[tag]]
        different = [tag for tag in lacking if tag in here]
        if different:
            raise PerenneError(
                f"the tag {different[0]} is not the one that {remote} has; if yours is the mistake, "
                f"delete it: git tag -d '{different[0]}'"
            ) from None
        if lacking:
            raise
    here, there = ({tag: name for tag, name in ids(at).items() if parse(tag)} for at in (None, remote))
    withdrawals.remember("seen", {tag: name for tag, name in there.items() if here.get(tag) == name})
    withdrawals.refuse(withdrawals.withdrawn(here, there), remote)


def ids(remote: str | None = None) -> dict[str, str]:
    """Return the tags here (None) or in a remote, each with the id of its object.

    Parameters
    ----------
    remote
        Its name or URL; None: this repository.

    Returns
    -------
    dict
        Tag, without `refs/tags/` -> id. Of an annotated tag it is that of the tag, not of its commit.

    Raises
    ------
    PerenneError
        If the remote cannot be reached.

    """
    if remote:
        printed = git.git("ls-remote", "--refs", remote, "refs/tags/*")
    else:
        printed = git.git("for-each-ref", "--format=%(objectname)%09%(refname)", "refs/tags")
    pairs = (line.split("\t") for line in printed.splitlines())
    return {ref.removeprefix("refs/tags/"): name for name, ref in pairs}


def _event(
    name: Name, tag: str, kind: str, commit: str, who: str, at: str, signature: str, text: str
) -> TagEvent | None:
    """What a tag says; nothing, unless it is an annotated tag of a commit, under its own name, and dated."""
    if parse(tag) != name or kind != "commit" or not at:
        return None
    moment = _moment(at)
    if moment is None:
        warn(f"the tag {tag} says nothing: it is dated {at}, and no tag could be dated later")
        return None
    return TagEvent(tag, *name[1:], commit, moment, who, text.removesuffix(signature), bool(signature))


def _moment(raw: str) -> datetime | None:
    """A date as Git keeps it, seconds and time zone; None if it is no date, or one that no clock shows.

    >>> _moment("1600000000 +0230").isoformat(), _moment("253402300800 +0000"), _moment("0 +9999")
    ('2020-09-13T14:56:40+02:30', None, None)
    """
    seconds, _, zone = raw.partition(" ")
    try:
        hours, minutes = divmod(int(zone[1:]), 100)
        offset = timedelta(hours=hours, minutes=minutes) * (-1 if zone.startswith("-") else 1)
        moment = datetime.fromtimestamp(int(seconds), timezone(offset))
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.year < NO_YEAR else None


@lru_cache(8192)  # the history of a stage asks for every version at every moment
def _version(name: str, event: TagEvent) -> Version:
    # The last such line: the text before it may have one, the YAML after it has none.
    text, line, proof = f"\n{event.message}".rpartition("\n---\n")
    message, proof_text = (text, proof) if line else (event.message, None)
    return Version(
        *(name, event.subject, event.commit, event.at, event.who),
        *(message.strip(), proof_text, event.signed, event.tag),
    )


def _order(event: TagEvent) -> tuple[datetime, int, bool]:
    return event.at, event.counter, event.kind in ("deregister", "unassign", "deprecate")
