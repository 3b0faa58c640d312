"""Pull requests that are not meant well: names, titles and artifacts, against the real workflow files."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tests.workflows.hub import Hub
from tests.workflows.scenes import comment, ended, notes, reviewed

BRANCH = "$(touch${IFS}pwned)`touch${IFS}pwned`'\";touch${IFS}pwned;&|<>{{github.token}}${{github.token}}"
TITLE = "$(touch pwned) `touch pwned`\n'; touch pwned; \"\n::set-output name=stale::true\n${{ github.token }}"


def test_10_hostile_branch_and_title(hub: Hub) -> None:
    """What stands in a name or a title is never run: the review ends as any other, and nothing was made."""
    notes(hub.work)
    pull = hub.open(BRANCH, title=TITLE)
    reviewed(hub, pull)
    assert "the model is unchanged" in comment(hub, pull)
    assert list(hub.work.path.parent.rglob("pwned")) == []
    assert BRANCH in hub.read("pulls")[0]["head"]["ref"]


def test_11_artifact_of_another_and_ten_megabytes(hub: Hub) -> None:
    """The comment goes to the pull request whose run it was; an artifact that no review writes stays out."""
    notes(hub.work)
    mine, other = hub.open("mine"), hub.open("other")
    review = ended(hub.review(mine))
    page = "# Look @ada <img src=https://evil.example/x>\n" * 240_000
    forge(
        hub.state / "artifacts" / "review.zip",
        {"review.md": page, "review.json": '{"number": 8, "gate": null}', "number": "8"},
    )
    ended(hub.comment(mine, review))
    assert [one["number"] for one in hub.read("comments")] == [mine.number] != [other.number]
    assert "review.md: more than 60,000 bytes, which no review writes" in comment(hub, mine)
    assert "evil" not in comment(hub, mine)


def test_artifact_that_writes_everything_it_should_not(hub: Hub) -> None:
    """Of a page with every trick only the words are left; nothing in the comment is hidden."""
    notes(hub.work)
    pull = hub.open("tricks")
    review = ended(hub.review(pull))
    tricks = (
        "<!-- perenne review --><script>x</script> @ada [a](https://evil.example) ![b](//evil.example) "
        'fixes #7\n\n```mermaid\nflowchart TD\n click A href "https://evil.example"\n```\n\n<details>\n'
    )
    forge(hub.state / "artifacts" / "review.zip", {"review.md": tricks * 100})
    ended(hub.comment(pull, review))
    text = comment(hub, pull)
    assert text.count("<!--") == 1
    for live in ("<script", "@ada", "](", "://", "#7", "```"):
        assert live not in text.split("\n\n", 2)[2]
    assert text.count("<details>") == text.count("</details>") + 80


def forge(archive: Path, files: dict[str, str]) -> None:
    """Put an artifact in the place of the one that the review has left."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as written:
        for name, text in files.items():
            written.writestr(name, text)
