"""Release tags as the registry reads them, beside what GTO and DVC make of the same tags."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
import semver

from perenne.common import git
from perenne.common.errors import PerenneError, warn
from perenne.documents.proof import Proof, ProvenMetric
from perenne.registry import grammar, tags
from perenne.registry.models import models
from perenne.registry.rollback import rollback
from tests.project import Project
from tests.registry.conftest import LONG_AGO, Release

MALFORMED = (
    "retirement",
    "v1.0.0",
    "retirement@1.0.0",
    "retirement@v1.0",
    "retirement@v1.0.0.0",
    "retirement@v01.0.0",
    "retirement@v1.0.0!!",
    "retirement@v1.0.0!3",
    "retirement@v1.0.0#",
    "retirement@v1.0.0#one",
    "retirement@v1.0.0-",
    "retirement@v1.0.0-01",
    "retirement@v1.0.0#prod",
    "retirement@latest",
    "retirement@Deprecated",
    "retirement@deprecated!",
    "retirement#",
    "retirement##1",
    "retirement#prod#",
    "retirement#prod#1!",
    "retirement#prod#1#2",
    "retirement#-prod#1",
    "retirement#prod_#1",
    "retirement#pröd#1",
    "retirement#prod#\N{ARABIC-INDIC DIGIT ONE}",
    "-retirement#prod#1",
    "retirement/#prod#1",
    "re.tirement@v1.0.0",
    "@v1.0.0",
    "#prod#1",
)


def annotated(name: str, commit: str = "HEAD", message: str = "by hand", second: int = 0) -> None:
    """Make an annotated tag as a person would, at a second of long ago."""
    env = {"GIT_COMMITTER_DATE": f"@{LONG_AGO + second} +0000"}
    git.git("tag", "--annotate", f"--message={message}", name, commit, env=env)


def holder(stage: str = "prod") -> str | None:
    """The version that our registry says is in a stage."""
    version = tags.read("retirement").in_stage(stage)
    return version.version if version else None


def shown(stage: str = "prod") -> list[str]:
    """The versions that `gto show` says are in a stage."""
    import gto.api

    versions = gto.api.show(".", "retirement", registered_only=True)
    return [v["version"] for v in versions if stage in [s["stage"] for s in v["stages"]]]


def which(stage: str = "prod") -> list[str]:
    """The versions that GTO's function for programs says are in a stage."""
    import gto.api

    versions = gto.api.find_versions_in_stage(".", "retirement", stage, registered_only=True)
    return [version.version for version in versions or []]


def resolved(stage: str = "prod") -> str:
    """The commit that DVC takes a stage's model from."""
    from dvc.repo import Repo

    with Repo() as repo:
        return str(repo.artifacts.get_rev("retirement", stage=stage))


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_names_are_no_release_tags(name: str) -> None:
    """For us as for GTO."""
    import gto.tag

    assert grammar.parse(name) is None
    assert gto.tag.parse_name(name, raise_on_fail=False) == {}


def test_malformed_tags_are_not_seen(here: Project) -> None:
    """Those that Git takes, beside a good one."""
    # Where there is a tag `retirement`, Git takes none that begins with `retirement/`.
    for name in set(MALFORMED) - {"retirement"}:
        here.run(f"git tag -a -m x -- '{name}'", status=None)
    allowed = len(tags.ids())
    annotated("retirement@v1.0.0")
    registry = tags.read("retirement")
    assert allowed > 15
    assert [event.tag for event in registry.events] == ["retirement@v1.0.0"]
    assert next(registry.counters()) == 1


@pytest.mark.parametrize(
    "name",
    [
        "retirement@v1.2.0",
        "retirement@v1.2.0!",
        "retirement@v1.2.0!#3",
        "retirement@v1.2.0#4",
        "retirement@v1.2.0-rc.1+build.7",
        "retirement#prod",
        "retirement#prod#7",
        "retirement#prod!#8",
        "retirement#eu/west_1#9",
        "retirement@deprecated",
        "retirement@deprecated#10",
        "a#b#007",
    ],
)
def test_names_say_what_gto_says(name: str) -> None:
    """Model, action, version or stage, and counter."""
    import gto.tag

    theirs = gto.tag.parse_name(name)
    ours = grammar.parse(name)
    assert ours == (
        theirs["name"],
        theirs["action"].value,
        theirs.get("version") or theirs.get("stage") or "",
        theirs.get("counter", 0),
    )


def test_versions_sort_by_semver() -> None:
    """Marks of other people's versions included: as the package semver has it, on 2,000 pairs."""
    draw = random.Random(1)  # noqa: S311 -- cases for a test

    def drawn() -> str:
        core = ".".join(str(draw.choice([0, 1, 2, 10])) for _ in range(3))
        marks = [draw.choice(["0", "2", "10", "rc", "rc1", "alpha", "x-y"]) for _ in range(draw.randrange(3))]
        return core + ("-" + ".".join(marks) if marks else "") + draw.choice(["", "+build.1"])

    for _ in range(2000):
        one, other = drawn(), drawn()
        compared = semver.Version.parse(one).compare(other)
        key, key_other = grammar.precedence(f"v{one}"), grammar.precedence(f"v{other}")
        assert (key > key_other) - (key < key_other) == compared, (one, other)


@pytest.mark.parametrize("name", ["", "-x", "x-", "a b", "a.b", "a@b", "dir:x", "é", "x\n"])
def test_case_that_no_tag_can_hold_is_told(name: str, here: Project) -> None:  # noqa: ARG001 -- in it
    """Before a tag is made that nobody would find again."""
    with pytest.raises(PerenneError, match="cannot be part of a release tag"):
        tags.read(name)


def test_newest_release_is_in_its_stage(release: Release) -> None:
    """Versions are listed from the highest, and only the last assigned is in the stage."""
    first, second = release("v1.9.0"), release("v1.10.0")
    registry = tags.read("retirement")
    assert [(v.version, v.commit) for v in registry.versions] == [("v1.10.0", second), ("v1.9.0", first)]
    assert [(a.version.version, a.active) for a in registry.history("prod")] == [
        ("v1.9.0", True),
        ("v1.10.0", True),
    ]
    assert [registry.stages(version) for version in registry.versions] == [["prod"], []]
    assert registry.in_stage("staging") is None
    assert next(registry.counters()) == 3


def test_version_says_who_and_when_and_why(release: Release) -> None:
    """The tag's text, its proof, its tagger and its date, which knows its time zone."""
    release("v1.0.0", proof="as_of: 2019Q4\nmetrics: {log_loss: {value: 0.2, low: 0.1, high: 0.3}}\n")
    version = tags.read("retirement").versions[0]
    assert version.message == "The text of v1.0.0"
    assert version.who == "Ada <ada@example.org>"
    assert version.at.timestamp() == LONG_AGO - 1  # the stage's tag, the last of the two, is of now
    metric = ProvenMetric(value=0.2, low=0.1, high=0.3)
    assert version.proof == Proof(as_of="2019Q4", metrics={"log_loss": metric})
    assert not version.signed


@pytest.mark.parametrize(
    ("message", "text", "proof"),
    [
        ("one line", "one line", None),
        ("two\nlines\n\nof text", "two\nlines\n\nof text", None),
        ("text\n\n---\nintent: a", "text", Proof(intent="a")),
        ("text\n---\nwith a rule\n---\nintent: a\n", "text\n---\nwith a rule", Proof(intent="a")),
        ("---\nintent: a", "", Proof(intent="a")),
        ("--- not a rule\n ---", "--- not a rule\n ---", None),
    ],
)
def test_proof_is_what_follows_the_last_rule(
    message: str, text: str, proof: Proof | None, here: Project
) -> None:
    """A rule that somebody puts in the text does not cut the proof short."""
    assert here.path == Path.cwd()
    annotated("retirement@v1.0.0", message=message)
    version = tags.read("retirement").versions[0]
    assert (version.message, version.proof) == (text, proof)


DEEP = "[" * 3000


@pytest.mark.parametrize(
    ("proof", "error"),
    [
        ("a: 1\na: 2", r"retirement@v1.0.0:2: not valid YAML: the key 'a' appears twice"),
        ("a: [", r"retirement@v1.0.0:\d: not valid YAML"),
        ("as we said", r"retirement@v1.0.0: must be a mapping, found 'as we said'"),
        ("", r"retirement@v1.0.0: must be a mapping, found None"),
        ("schema: 2", r"retirement@v1.0.0: schema: found 2, this version reads 1"),
        (DEEP, r"retirement@v1.0.0: not valid YAML: nested too deeply"),
        ("a: !!bool x", r"retirement@v1.0.0: not valid YAML"),
        (f"schema: 0x{'f' * 5000}", r"retirement@v1.0.0: not valid YAML: an integer of 5002 digits"),
        (f"model: {{size: {'9' * 5000}}}", r"retirement@v1.0.0: not valid YAML: an integer of 5000 digits"),
        ("<<: {a: 1}", r"retirement@v1.0.0:1: not valid YAML: a merge key"),
        ("a: \x07", r"retirement@v1.0.0: not valid YAML"),
    ],
    ids=[
        "twice",
        "cut",
        "text",
        "empty",
        "later",
        "deep",
        "tag",
        "hex",
        "digits",
        "merge",
        "control",
    ],
)
def test_malformed_proof_says_nothing_and_costs_one_warning(
    proof: str, error: str, here: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anybody who can push may have written it; whoever needs its sha256 is told what is wrong with it."""
    assert here.path == Path.cwd()
    warn.cache_clear()
    annotated("retirement@v1.0.0", message=f"text\n---\n{proof}")
    version = tags.read("retirement").find("v1.0.0")
    assert (version.proof, version.proof) == (None, None)
    assert [row.sha256 for row in models("retirement")] == [None]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the proof in the tag ")
    assert line.endswith("; it says nothing")
    with pytest.raises(PerenneError, match=error):
        _ = version.released


def test_proof_that_is_too_long_says_nothing(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """To parse a megabyte takes long, and anybody can push more."""
    assert here.path == Path.cwd()
    warn.cache_clear()
    by_hand("retirement@v1.0.0", "1600000000 +0000", f"text\n---\nas_of: {'x' * 1_000_000}")
    version = tags.read("retirement").find("v1.0.0")
    assert (version.proof, version.proof) == (None, None)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("at most 1000000 are read; it says nothing")
    with pytest.raises(PerenneError, match=r"retirement@v1.0.0: 100\d+ characters"):
        _ = version.released


LAUGHS = "\n".join(
    [
        "a0: &a0 [1, 1]",
        *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)),
        "batches: *a29",
    ]
)


def test_aliases_of_a_proof_stand_for_no_billions(here: Project) -> None:
    """A few lines, written out, would fill every memory."""
    assert here.path == Path.cwd()
    annotated("retirement@v1.0.0", message=f"text\n---\n{LAUGHS}")
    with pytest.raises(PerenneError, match="aliases stand for more than 100000 values"):
        _ = tags.read("retirement").find("v1.0.0").released


def by_hand(name: str, date: str, message: str = "x") -> None:
    """Make a tag that no command of Git's would make."""
    text = f"object {git.commit('HEAD')}\ntype commit\ntag {name}\ntagger Eve <eve@example.org> {date}\n\n"
    made = git.git("hash-object", "-t", "tag", "-w", "--literally", "--stdin", stdin=f"{text}{message}\n")
    git.git("update-ref", f"refs/tags/{name}", made)


@pytest.mark.parametrize(
    "date",
    [
        "253402300800 +0000",
        "253402300799 +0000",
        "253402300799 -1200",
        "32503680000 +0000",
        "1600000000 +9999",
        "-5 +0000",  # Git itself fails on it
    ],
    ids=["year 10000", "last second", "its end is in no year", "year 3000", "no such zone", "before all"],
)
def test_date_that_no_tag_can_follow_says_nothing(
    date: str, here: Project, release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither read nor dated after: the next tags are dated as if it were not there."""
    first, second = release("v1.0.0"), release("v1.1.0")
    warn.cache_clear()
    for name in ("retirement#prod#7", "retirement@v1.1.0!", "retirement@v8.0.0", "retirement@deprecated"):
        by_hand(name, date)
    by_hand(f"retirement#prod#{'9' * 200}", date)
    assert holder() == "v1.1.0"
    assert [row.version for row in models("retirement")] == ["v1.1.0", "v1.0.0"]
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == 5
    assert all(line.startswith("warning: the tag retirement") for line in warnings)
    rollback("retirement", to="v1.0.0", reason="a test", push=False)
    assert (holder(), tags.read("retirement").versions[0].commit) == ("v1.0.0", second)
    assert first != second
    assert here.out("perenne models --case retirement").startswith("version")


def test_number_that_is_too_long_is_no_number(here: Project, release: Release) -> None:
    """Python cannot print one of five thousand digits; a packed ref can have it."""
    release("v1.0.0")
    head = here.out("git rev-parse 'retirement@v1.0.0'").strip()
    names = [f"retirement#prod#{'9' * 5000}", f"retirement@v1.0.{'9' * 5000}"]
    here.run("git pack-refs --all")
    with (here.path / ".git/packed-refs").open("a") as refs:
        refs.writelines(f"{head} refs/tags/{name}\n" for name in names)
    assert set(names) <= tags.ids().keys()
    registry = tags.read("retirement")
    assert [event.tag for event in registry.events] == ["retirement@v1.0.0", "retirement#prod#1"]
    assert next(registry.counters()) == 2


@pytest.mark.parametrize("kind", ["annotated", "lightweight"])
@pytest.mark.parametrize(
    ("names", "number"),
    [
        (("retirement#qa#3/x", "retirement#prod#4/y/z"), 5),
        (("retirement#qa#3", "retirement#prod!#4"), 5),
        ((f"retirement#zzz#{'9' * 220}", f"retirement@v{'9' * 200}.0.0"), 3),
        (("retirement#prod#999999999999", "retirement#prod!#99999999999/x"), 10**11),
        (("retirement#prod#99999999999", "retirement#prod!#100000000001"), 10**11),
    ],
)
def test_names_that_somebody_has_taken_stop_no_rollback(
    kind: str, names: tuple[str, ...], number: int, here: Project, release: Release
) -> None:
    """Anybody who can push a tag can take a name, or all names above it; the next free one is used."""
    release("v1.0.0", push=True)
    release("v1.1.0", push=True)
    for name in names:
        here.run(f"git tag {'-a -m x' if kind == 'annotated' else ''} '{name}' HEAD~2")
    here.run("git push -q origin --tags")
    rollback("retirement", to="v1.0.0", reason="a test", push=True)
    assert holder() == "v1.0.0"
    assert f"refs/tags/retirement#prod#{number}" in here.out("git ls-remote --tags origin").split()


def test_number_of_too_many_digits_costs_one_warning(
    here: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """No number can follow it for long: its tag says nothing."""
    annotated(f"retirement#zzz#{'7' * 220}")
    annotated("retirement@v1.0.0+20260101123456")
    registry = tags.read("retirement")
    tags.read("retirement")
    assert ([event.subject for event in registry.events], here.path.exists()) == (
        ["v1.0.0+20260101123456"],
        True,
    )
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the tag retirement#zzz#777")


def test_only_annotated_tags_of_commits_count(here: Project) -> None:
    """A lightweight tag, a tag of a file or of a tag, and a copy under a higher name say nothing."""
    annotated("retirement@v1.0.0")
    here.run("git tag retirement@v2.0.0")
    here.run("git tag -a -m x retirement@v3.0.0 HEAD:model")
    here.run("git -c advice.nestedTag=false tag -a -m x retirement@v4.0.0 retirement@v1.0.0")
    here.run("git update-ref refs/tags/retirement@v5.0.0 $(git rev-parse retirement@v1.0.0)")
    here.run("git tag 'retirement#prod#41'")
    annotated("pension@v6.0.0")
    registry = tags.read("retirement")
    assert [version.version for version in registry.versions] == ["v1.0.0"]
    assert registry.in_stage("prod") is None
    assert next(registry.counters()) == 42  # the name of the lightweight one is taken all the same


def test_prereleases_of_others_are_listed_where_they_belong(here: Project) -> None:
    """Below the version that they lead to."""
    assert here.path == Path.cwd()
    for version in ("v1.0.0", "v1.1.0-rc.1", "v1.1.0"):
        here.commit(version)
        annotated(f"retirement@{version}")
    assert [v.version for v in tags.read("retirement").versions] == ["v1.1.0", "v1.1.0-rc.1", "v1.0.0"]


@pytest.mark.parametrize("text", ["v1.0.0", "1.0.0", "retirement@v1.0.0", "staging", "retirement@1.0.0"])
def test_version_is_found_by_any_of_its_names(text: str, release: Release) -> None:
    """With and without the v, as GTO writes it, or by the stage it is in."""
    commit = release("v1.0.0")
    annotated("retirement#staging#2")
    release("v1.1.0")
    assert tags.read("retirement").find(text).commit == commit


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "v1.0.1",
            r"^v1.0.1: no version or stage of retirement; did you mean 'v1.0.0'\? Valid: prod, v1.0.0$",
        ),
        ("prud", r"^prud: no version or stage of retirement; did you mean 'prod'"),
        ("pension@v1.0.0", "no version or stage of retirement"),
        (
            "v1.1.0",
            r"^v1.1.0: Ada <ada@example.org> deregistered it on 20\d\d-\d\d-\d\d by retirement@v1.1.0!$",
        ),
    ],
)
def test_what_is_no_version_is_told(text: str, error: str, release: Release) -> None:
    """The error names the versions that exist, or who deregistered this one."""
    release("v1.0.0")
    release("v1.1.0")
    annotated("retirement@v1.1.0!", second=1_000_000)
    with pytest.raises(PerenneError, match=error):
        tags.read("retirement").find(text)


def test_deregistered_version_leaves_its_stage_to_the_one_before(here: Project, release: Release) -> None:
    """For us and for GTO. DVC's own resolver takes the stage's last tag, whatever became of it."""
    here.run("dvc init -q")
    first, second = release("v1.0.0"), release("v1.1.0")
    assert (holder(), resolved()) == ("v1.1.0", second)
    here.run("gto deprecate retirement v1.1.0")
    assert (holder(), shown(), which()) == ("v1.0.0", ["v1.0.0"], ["v1.0.0"])
    assert resolved() == second
    assert tags.read("retirement").find("prod").commit == first


def test_unassigned_version_leaves_its_stage_to_the_one_before(here: Project, release: Release) -> None:
    """Also for GTO; DVC's resolver takes the tag that unassigns for one that assigns."""
    here.run("dvc init -q")
    release("v1.0.0")
    second = release("v1.1.0")
    here.run("gto deprecate retirement v1.1.0 prod")
    assert (holder(), shown(), which()) == ("v1.0.0", ["v1.0.0"], ["v1.0.0"])
    assert resolved() == second
    here.run("gto deprecate retirement v1.0.0 prod")
    assert (holder(), shown(), which()) == (None, [], [])
    assert [a.active for a in tags.read("retirement").history("prod")] == [False, False]


def test_deprecated_model_is_in_no_stage_until_a_version_comes(here: Project, release: Release) -> None:
    """Another assignment does not bring it back; a registration does."""
    release("v1.0.0")
    here.run("gto deprecate retirement")
    deprecated = tags.read("retirement").deprecated
    assert deprecated is not None
    assert (deprecated.tag, holder(), shown()) == ("retirement@deprecated", None, [])
    here.run("gto assign retirement --version v1.0.0 --stage prod --force")
    assert holder() is None
    release("v1.1.0")
    assert tags.read("retirement").deprecated is None
    assert (holder(), shown()) == ("v1.1.0", ["v1.1.0"])


def test_assignment_of_a_commit_without_version_does_not_count(here: Project, release: Release) -> None:
    """GTO's commands would say the commit is in the stage, as a version that has no number."""
    release("v1.0.0")
    here.commit("never registered")
    here.run("gto assign retirement HEAD --stage prod --skip-registration")
    assert holder() == "v1.0.0"
    annotated("retirement@v1.1.0")
    assert holder() == "v1.1.0"  # by the same assignment, now that it has a version


def test_registered_again_is_registered(here: Project, release: Release) -> None:
    """What was cancelled can be taken back, by a later tag."""
    commit = release("v1.0.0")
    annotated("retirement@v1.0.0!#2", commit, second=10_000)
    assert (tags.read("retirement").versions, holder()) == ([], None)
    assert list(tags.read("retirement").registered) == ["v1.0.0"]
    annotated("retirement@v1.0.0#3", commit, second=20_000)
    assert [version.version for version in tags.read("retirement").versions] == ["v1.0.0"]
    assert (holder(), shown()) == ("v1.0.0", ["v1.0.0"])
    assert here.path == Path.cwd()


def test_registering_again_does_not_change_a_version(here: Project, release: Release) -> None:
    """Whoever may push tags cannot slip another commit under a version in use, nor an unsigned tag."""
    commit = release("v1.0.0")
    here.commit("another")
    annotated("retirement@v1.0.0#9", second=20_000)
    version = tags.read("retirement").find("prod")
    assert (version.commit, version.tag) == (commit, "retirement@v1.0.0")
    annotated("retirement@v1.0.0!#10", second=30_000)
    annotated("retirement@v1.0.0#11", second=40_000)
    version = tags.read("retirement").find("v1.0.0")
    assert (version.commit, version.tag) == (git.commit("HEAD"), "retirement@v1.0.0#11")
    assert holder() is None


def test_dates_come_before_counters(here: Project) -> None:
    """Whoever makes several tags at once may count them in another order than they come."""
    first = git.commit("HEAD")
    annotated("retirement@v1.0.0", first)
    here.commit("second")
    annotated("retirement@v1.1.0")
    annotated("retirement#prod#2", second=5)
    annotated("retirement#prod#1", first, second=6)
    assert (holder(), shown()) == ("v1.0.0", ["v1.0.0"])


def test_tags_of_one_second_follow_their_counters(here: Project) -> None:
    """GTO's dates have seconds, and its commands make several tags in one."""
    first = git.commit("HEAD")
    annotated("retirement@v1.0.0", first)
    here.commit("second")
    annotated("retirement@v1.1.0")
    annotated("retirement#prod#10", first, second=5)
    annotated("retirement#prod#9", second=5)
    assert holder() == "v1.0.0"
    annotated("retirement#prod!#11", first, second=5)
    assert holder() == "v1.1.0"


@pytest.mark.parametrize("seed", range(3))
def test_stages_are_those_that_gto_shows(seed: int, here: Project, release: Release) -> None:
    """After every one of many random operations, by GTO's functions and by ours.

    After a rollback GTO's other function agrees as well, which prefers the highest version still assigned.
    """
    draw, seconds = random.Random(seed), itertools.count(10_000_000, 60)  # noqa: S311 -- cases for a test
    operations = ["release", "register", "assign", "unassign", "deregister", "rollback", "back"]
    done: list[str] = []
    for number in range(25):
        operation = draw.choice(operations)
        version = draw.choice([*tags.read("retirement").registered] or ["none yet"])
        stage = draw.choice(["prod", "prod", "staging"])
        before = tags.ids()
        operate(operation, version, stage, f"v1.{number}.0", here, release)
        if operation in operations[1:5]:
            redate(set(tags.ids()) - set(before), next(seconds))
        if tags.ids() == before:
            continue  # nothing to do, such as to unassign what was not assigned
        done.append(f"{operation} {version} {stage}")
        for name in ("prod", "staging"):
            assert shown(name) == [held for held in (holder(name),) if held], done
        if operation in ("rollback", "back"):
            assert which(stage) == [holder(stage)], done
    assert len(done) > 10


def operate(operation: str, version: str, stage: str, new: str, here: Project, release: Release) -> None:
    """Do one operation, GTO's or ours, if there is anything to do."""
    import gto.api
    from gto.exceptions import GTOException

    try:
        match operation:
            case "release":
                release(new)
            case "register":
                here.commit("more")
                gto.api.register(".", "retirement", "HEAD", new)
            case "assign":
                gto.api.assign(".", "retirement", stage, version, force=True)
            case "unassign":
                gto.api.unassign(".", "retirement", version=version, stage=stage)
            case "deregister":
                gto.api.deregister(".", "retirement", version=version)
            case "rollback" | "back":
                rollback(
                    "retirement",
                    to=version if operation == "rollback" else None,
                    stage=stage,
                    reason="x",
                    push=False,
                )
    except (GTOException, PerenneError):
        return


def redate(names: set[str], second: int) -> None:
    """Date the tags that GTO has just made: its own would be those of one second."""
    for name in names:
        commit = git.commit(name)
        git.git("tag", "--delete", name)
        annotated(name, commit, second=second)


def test_tags_of_the_remote_are_fetched(
    here: Project, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into a clone that has no tags by its settings, or only one commit."""
    commit = release("v1.0.0", push=True)
    here.commit("later")
    here.run("git push -q origin main")
    for name, options in (("untagged", "--no-tags"), ("shallow", "--depth 1")):
        here.run(f"git clone -q {options} file://{here.path.parent}/origin.git ../{name}")
        monkeypatch.chdir(here.path.parent / name)
        assert tags.read("retirement").versions == []
        tags.fetch()
        assert [v.version for v in tags.read("retirement").versions] == ["v1.0.0"]
        assert holder() == "v1.0.0"
        assert git.git("show", f"{commit}:model") == "one"  # the commit came along
        tags.fetch()


def test_without_a_remote_there_is_nothing_to_fetch(here: Project) -> None:
    """A repository of one's own is complete."""
    here.run("git remote remove origin")
    tags.fetch()


def test_unreachable_remote_is_told(here: Project) -> None:
    """Released on what tags happen to be here, it might be another's version."""
    here.run("git remote set-url origin ../gone.git")
    with pytest.raises(PerenneError, match=r"git .*gone\.git"):
        tags.fetch()


def test_fetching_replaces_and_deletes_nothing(here: Project, release: Release) -> None:
    """A release tag that differs from the remote's is an error, whatever the user's settings."""
    release("v1.0.0", push=True)
    mine = "retirement@v1.1.0"
    annotated(mine)
    here.run("git config fetch.prune true && git config fetch.pruneTags true")
    here.run("git config --add remote.origin.fetch '+refs/tags/*:refs/tags/*'")
    tags.fetch()
    assert mine in tags.ids()
    here.run(f"git push -q origin {mine} && git tag -d {mine}")
    annotated(mine, "HEAD~1")
    before = tags.ids()
    with pytest.raises(
        PerenneError, match=r"the tag retirement@v1.1.0 is not .*: git tag -d 'retirement@v1.1.0'"
    ):
        tags.fetch()
    assert tags.ids() == before


def test_moved_tag_that_is_no_release_is_no_matter(here: Project, release: Release) -> None:
    """Release tags are fetched all the same."""
    release("v1.0.0", push=True)
    here.run("git tag nightly HEAD && git push -q origin nightly && git tag -f nightly HEAD~1")
    here.run("git tag -d retirement@v1.0.0")
    tags.fetch()
    assert [version.version for version in tags.read("retirement").versions] == ["v1.0.0"]


def test_tag_that_cannot_be_fetched_is_told(here: Project, release: Release) -> None:
    """With git's own reason; here a tag stands in its way without having its name."""
    release("v1.0.0")
    annotated("retirement#prod/eu#1")
    here.run("git push -q origin --tags && git tag -d 'retirement#prod/eu#1' && git tag 'retirement#prod'")
    with pytest.raises(PerenneError, match=r"^git fetch: .*retirement#prod/eu#1"):
        tags.fetch()


def test_gto_reads_nothing_of_two_versions_on_one_commit(here: Project) -> None:
    """Which is why publish makes no such tags; the registry takes the higher one."""
    from gto.exceptions import ManyVersions

    assert here.path == Path.cwd()
    annotated("retirement@v1.0.0")
    annotated("retirement@v1.1.0", second=1)
    annotated("retirement#prod#1", second=2)
    assert holder() == "v1.1.0"
    with pytest.raises(ManyVersions):
        shown()
