"""The anchor: the last version that was proven better, where only fresher ones have followed it.

A fresher model may be a little worse than the champion. Twenty of them in a row may be a lot worse than what
the first one replaced, so each is compared with that one as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from perenne.common.errors import PerenneError
from perenne.gate import contenders, refitted
from perenne.gate.comparison import Terms
from perenne.gate.contenders import Loaded
from perenne.registry.tags import Registry, Version


def before(registry: Registry, champion: Version) -> list[Version]:
    """Return the versions from the anchor on, oldest first, without the champion.

    Parameters
    ----------
    registry
        The model's registry. A version that is no longer registered is left out.
    champion
        The version in prod.

    """
    chain = [each for each in _back(registry, champion) if each in registry.versions]
    return chain[::-1]


def _back(registry: Registry, champion: Version) -> Iterator[Version]:
    """Yield what a champion was fresher than, what that was fresher than, and so on."""
    known, version = {champion.version}, champion
    while (proof := version.proof) and proof.intent == "fresher":
        earlier = registry.registered.get(proof.champion or "")
        if earlier is None or earlier.version in known:  # who can push could write a circle
            return
        known.add(earlier.version)
        yield earlier
        version = earlier


def of(registry: Registry, champion: Version, terms: Terms) -> Loaded | None:
    """Return the anchor's model, or that of the first version after it which knows rows of this contract.

    Parameters
    ----------
    registry, champion
        As for `before`.
    terms
        Name the case, its contract and the rows.

    Returns
    -------
    Loaded or None
        None if the champion is the anchor.

    Raises
    ------
    PerenneError
        If a model is unavailable.

    """
    for version in before(registry, champion):
        tagged = refitted.of_champion(version, terms.name, terms.rows)
        loaded = contenders.of(version.commit, version.version, terms.name, tagged)
        try:
            contenders.must_fit(loaded, terms.contract)
        except PerenneError:
            continue
        return loaded
    return None
