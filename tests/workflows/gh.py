#!/usr/bin/env python3
"""GitHub as far as the workflows ask for it: answers from files in $HUB, and notes every call."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

HUB = Path(os.environ.get("HUB", "."))
REPOSITORY = "repos/ada/perenne/"
BOT = {"login": "github-actions[bot]"}

Query = dict[str, list[str]]


def load(name: str) -> list[Any]:
    """Return a list of the state; empty if nobody has written it."""
    file = HUB / f"{name}.json"
    found: list[Any] = json.loads(file.read_text()) if file.exists() else []
    return found


def save(name: str, value: list[Any]) -> None:
    """Write a list of the state."""
    (HUB / f"{name}.json").write_text(json.dumps(value, indent=1))


def pulls(query: Query) -> list[Any]:
    """Return pull requests, of a branch, open ones or all; one whose state nobody has written is open."""
    of = tuple(query["head"][0].split(":", 1)) if "head" in query else None
    (state,) = query["state"]
    return [
        pull | {"state": pull.get("state", "open")}
        for pull in load("pulls")
        if of in (None, (pull["head"]["user"]["login"], pull["head"]["ref"]))
        and state in ("all", pull.get("state", "open"))
    ]


def open_pull(body: Any) -> Any:
    """Open a pull request of a branch of this repository."""
    known = load("pulls")
    assert len(body["body"]) <= 65_536, "GitHub takes no longer text"
    repo = {"full_name": "ada/perenne", "owner": {"login": "ada"}}
    head = {"ref": body["head"], "sha": "", "repo": repo, "user": repo["owner"]}
    new = {"number": len(known) + 7, "title": body["title"], "body": body["body"], "state": "open"}
    new |= {"head": head, "base": {"ref": body["base"]}}
    save("pulls", [*known, new])
    return new


def issues(query: Query) -> list[Any]:
    """Return the open issues, and the open pull requests, as GitHub does."""
    assert query["state"] == ["open"]
    pulls = [one | {"pull_request": {}} for one in load("pulls") if one.get("state", "open") == "open"]
    return [*(one for one in load("issues") if one["state"] == "open"), *pulls]


def open_issue(body: Any) -> Any:
    """Open an issue."""
    known = load("issues")
    assert len(body["body"]) <= 65_536, "GitHub takes no longer text"
    new = {"number": len(known) + 1, "state": "open", "user": BOT, "author_association": "NONE"} | body
    save("issues", [*known, new])
    return new


def edit(body: Any, kind: str, name: str) -> Any:
    """Change an issue or a pull request, or close it."""
    assert len(body.get("body", "")) <= 65_536, "GitHub takes no longer text"
    known = load(kind)
    (one,) = [one for one in known if one["number"] == int(name)]
    one |= body
    save(kind, known)
    return one


def files(number: str) -> list[Any]:
    """Return what a pull request changes, as far as GitHub lists it."""
    return load(f"files-{number}")[:3000]


def comments(number: str) -> list[Any]:
    """Return the comments on a pull request."""
    return [one for one in load("comments") if one["number"] == int(number)]


def add_comment(body: Any, number: str) -> Any:
    """Write a comment."""
    known = load("comments")
    assert len(body["body"]) <= 65_536, "GitHub takes no longer comment"
    new = {"id": len(known) + 1, "number": int(number), "user": BOT, "body": body["body"]}
    save("comments", [*known, new])
    return new


def edit_comment(body: Any, name: str) -> Any:
    """Change a comment."""
    known = load("comments")
    assert len(body["body"]) <= 65_536, "GitHub takes no longer comment"
    (one,) = [one for one in known if one["id"] == int(name)]
    one["body"] = body["body"]
    save("comments", known)
    return one


def artifacts(query: Query, run: str) -> Any:
    """List what a run has uploaded under a name, also what has expired; all of them if none is the run's."""
    (name,) = query["name"]
    own = HUB / "artifacts" / run
    listed = [
        {
            "id": i,
            "name": name,
            "size_in_bytes": file.stat().st_size,
            "expired": "expired" in file.suffixes[0],
        }
        for i, file in enumerate(zips())
        if file.name.partition(".")[0] == name and (file.parent == own or not own.is_dir())
    ]
    return {"artifacts": listed}


def zips() -> list[Path]:
    """Return all artifacts; the place of one is its id."""
    return sorted((HUB / "artifacts").rglob("*.zip"))


def archive(place: str) -> bytes:
    """Return an artifact."""
    return zips()[int(place)].read_bytes()


def status(body: Any, commit: str) -> Any:
    """Attach a status to a commit."""
    assert len(body["description"]) <= 140, "GitHub takes no longer description"
    save("statuses", [*load("statuses"), body | {"sha": commit}])
    return {}


def dispatch(body: Any, workflow: str) -> None:
    """Start a workflow."""
    save("dispatches", [*load("dispatches"), body | {"workflow": workflow}])


GET: list[tuple[str, Callable[..., Any], bool]] = [
    (r"pulls", pulls, True),
    (r"pulls/(\d+)/files", files, False),
    (r"issues", issues, True),
    (r"issues/(\d+)/comments", comments, False),
    (r"actions/runs/(\d+)/artifacts", artifacts, True),
    (r"actions/artifacts/(\d+)/zip", archive, False),
]
SEND: dict[str, list[tuple[str, Callable[..., Any]]]] = {
    "POST": [
        (r"pulls", open_pull),
        (r"issues", open_issue),
        (r"issues/(\d+)/comments", add_comment),
        (r"statuses/([0-9a-f]{40})", status),
        (r"actions/workflows/([\w.]+)/dispatches", dispatch),
    ],
    "PATCH": [
        (r"issues/comments/(\d+)", edit_comment),
        (r"(issues|pulls)/(\d+)", edit),
    ],
}


def api(arguments: list[str], stdin: str) -> Any:
    """Answer `gh api`."""
    method, listed = "GET", False
    *options, address = arguments
    while options:
        match options.pop(0):
            case "--method":
                method = options.pop(0)
            case "--input":
                assert options.pop(0) == "-"
            case "--paginate" | "--slurp":
                listed = True
            case other:
                sys.exit(f"unknown option {other}")
    place, _, query = address.partition("?")
    assert place.startswith(REPOSITORY), place
    place = unquote(place.removeprefix(REPOSITORY))
    if method == "GET":
        for pattern, answer, asks in GET:
            if found := re.fullmatch(pattern, place):
                told = answer(*([parse_qs(query)] if asks else []), *found.groups())
                return [told] if listed else told
    for pattern, change in SEND.get(method, []):
        if found := re.fullmatch(pattern, place):
            return change(json.loads(stdin), *found.groups())
    sys.exit(f"HTTP 404: {method} {place}")


def release(arguments: list[str], stdin: str) -> str:
    """Answer `gh release`: view, create."""
    action, at = arguments[0], arguments.index("--")
    options, (tag, *files) = arguments[1:at], arguments[at + 1 :]
    assert options[:2] == ["--repo", "ada/perenne"], options
    known = load("releases")
    if action == "view":
        return tag if tag in [one["tag"] for one in known] else sys.exit("release not found")
    assert action == "create"
    assets = {Path(name).name: Path(name).stat().st_size for name in files}
    save("releases", [*known, {"tag": tag, "options": options, "notes": stdin, "assets": assets}])
    return ""


def main() -> None:
    """Note the call, and answer it."""
    stdin = "" if sys.stdin.isatty() else sys.stdin.read()
    with (HUB / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps({"argv": sys.argv[1:], "stdin": stdin}) + "\n")
    if not os.environ.get("GH_TOKEN"):
        sys.exit("gh: set GH_TOKEN")
    command, *arguments = sys.argv[1:]
    answer = {"api": api, "release": release}[command](arguments, stdin)
    if isinstance(answer, bytes):
        sys.stdout.buffer.write(answer)
    elif answer is not None:
        print(answer if isinstance(answer, str) else json.dumps(answer))


if __name__ == "__main__":
    main()
