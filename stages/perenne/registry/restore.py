"""Restore: rebuild a released model from its tag alone, after the remote has lost it."""

from __future__ import annotations

import hashlib

from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.common.names import LOCK
from perenne.registry import tags
from perenne.registry.reproduce import checkout, environment, has_remote, keep, run
from perenne.registry.verify import differences


def restore(name: str, version: str, *, push: bool) -> str:
    """Rerun a version's commit in a clean clone and put its outputs into DVC's cache, with `push` the remote.

    Parameters
    ----------
    name
        The case.
    version
        The version, or the stage that it is in.
    push
        Push the outputs to the default remote as well.

    Returns
    -------
    str
        What was done, in one line.

    Raises
    ------
    PerenneError
        If there is no such version, `push` has no remote, a stage fails, or the commit makes other bytes than
        its tag and its lock prove. Nothing is put anywhere if the bytes differ.

    """
    released = tags.read(name).find(version)
    models = dict.fromkeys([released.proven, released.released])  # one, where nothing was refitted
    if push and not has_remote():
        raise PerenneError("DVC has no default remote to push to; dvc remote add --default NAME URL")
    with checkout(released.commit) as folder:
        env = environment(folder)
        run(folder, env)
        for path, proven in models:
            made = hashlib.sha256((folder / path).read_bytes()).hexdigest()
            if made != proven:
                raise PerenneError(
                    f"{released.tag}: its {path.name} has the sha256 {proven}, but its commit makes one with "
                    f"{made}; nothing was restored"
                )
        different = differences(git.show(released.commit, LOCK), (folder / LOCK).read_bytes())
        if different:
            raise PerenneError("\n       ".join([f"{released.tag}: nothing was restored", *different]))
        keep(folder, env, push=push)
    where = "DVC's cache and its remote" if push else "DVC's cache; --push shares it"
    return f"{released.tag} is restored: its model (sha256 {made[:12]}) is in {where}"
