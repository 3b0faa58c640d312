"""A user who has configured Git to the last key, each of which has changed what some program reads."""

from __future__ import annotations

from pathlib import Path

CONFIG = """\
[status]
    showUntrackedFiles = no
    short = true
    branch = true
    renames = copies
[core]
    quotePath = true
    autocrlf = true
    safecrlf = true
    hooksPath = {hooks}
    commentChar = "-"
    pager = false
    attributesFile = {hooks}/attributes
[color]
    ui = always
    branch = always
    status = always
    diff = always
[column]
    ui = always
[diff]
    noprefix = true
    mnemonicPrefix = true
    external = false
[log]
    showSignature = true
    date = relative
[format]
    pretty = oneline
[tag]
    sort = -creatordate
    forceSignAnnotated = true
[commit]
    gpgSign = true
    cleanup = strip
[push]
    followTags = true
    default = nothing
    gpgSign = true
[fetch]
    prune = true
    pruneTags = true
[remote "origin"]
    prune = true
    pruneTags = true
    tagOpt = --no-tags
[init]
    defaultBranch = trunk
    templateDir = {hooks}
    defaultObjectFormat = sha256
[clone]
    defaultRemoteName = upstream
[submodule]
    recurse = true
[i18n]
    logOutputEncoding = ISO-8859-1
    commitEncoding = ISO-8859-1
[gpg]
    program = false
[advice]
    detachedHead = true
"""
HOOKS = (
    "pre-commit",
    "commit-msg",
    "pre-push",
    "post-checkout",
    "reference-transaction",
    "post-index-change",
)
VARIABLES = {"GIT_NOGLOB_PATHSPECS": "1", "GIT_EXTERNAL_DIFF": "false", "GIT_DEFAULT_HASH": "sha256"}


def settings(folder: Path) -> dict[str, str]:
    """Write the configuration into a folder; return the variables that make Git use it."""
    folder.mkdir()
    for name in HOOKS:
        (folder / name).write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    (folder / "attributes").write_text("* text eol=crlf\n", encoding="utf-8")
    (folder / "config").write_text(CONFIG.format(hooks=folder), encoding="utf-8")
    return {"GIT_CONFIG_GLOBAL": str(folder / "config"), **VARIABLES}
