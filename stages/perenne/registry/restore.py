"""Restore: make a released model again, from its tag alone, where the remote has lost it."""

from __future__ import annotations

import hashlib

from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.common.names import LOCK, MODEL
from perenne.registry import tags
from perenne.registry.reproduce import checkout, environment, has_remote, keep, run
from perenne.registry.tags import Version
from perenne.registry.verify import differences


def restore(name: str, version: str, *, push: bool) -> str:
    """Reproduce a version from nothing and put its outputs back into DVC's cache, and with `push` the remote.

    Raises
    ------
    PerenneError
        If what its commit makes is not what its tag says, to the byte: then nothing is put anywhere.

    """
    found = tags.read(name).find(version)
    wanted = _sha256_in(found)
    if push and not has_remote():
        raise PerenneError("DVC has no default remote to push to; dvc remote add --default NAME URL")
    with checkout(found.commit) as folder:
        env = environment(folder)
        run(folder, env)
        made = hashlib.sha256((folder / MODEL).read_bytes()).hexdigest()
        if made != wanted:
            raise PerenneError(
                f"{found.tag}: its model has the sha256 {wanted}, but its commit makes one with {made}; "
                "nothing was restored"
            )
        different = differences(git.show(found.commit, LOCK), (folder / LOCK).read_bytes())
        if different:
            raise PerenneError("\n       ".join([f"{found.tag}: nothing was restored", *different]))
        keep(folder, env, push=push)
    where = "DVC's cache and its remote" if push else "DVC's cache; --push shares it"
    return f"{found.tag} is restored: its model (sha256 {made[:12]}) is in {where}"


def _sha256_in(version: Version) -> str:
    """The sha256 of the model that a version's tag holds the proof of."""
    model = (version.proof or {}).get("model")
    sha256 = model.get("sha256") if isinstance(model, dict) else None
    if not isinstance(sha256, str):
        raise PerenneError(
            f"{version.tag}: its tag holds no sha256 of the model: nothing can be proven by it"
        )
    return sha256
