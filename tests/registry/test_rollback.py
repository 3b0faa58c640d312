"""Rolling back: forward in the history, backward in the versions."""

from __future__ import annotations

import pytest

from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.registry import tags
from perenne.registry.publish import Tag, assigned, publish
from perenne.registry.rollback import rollback
from tests.project import Project
from tests.registry.conftest import Release


def back(to: str | None = None, *, stage: str = "prod", push: bool = False) -> str | None:
    """Roll back, and return the version that is in the stage then."""
    rollback("retirement", to=to, stage=stage, reason="Too many false alarms", push=push)
    return holder(stage)


def holder(stage: str = "prod") -> str | None:
    """The version in a stage."""
    version = tags.read("retirement").in_stage(stage)
    return version.version if version else None


def test_version_before_is_in_the_stage_again(release: Release) -> None:
    """By new tags, which say why; existing tags stay as they are, here and in the origin."""
    first, second = release("v1.0.0", push=True), release("v1.1.0", push=True)
    before = tags.ids()
    line = rollback("retirement", to=None, reason="#1: too many\nfalse alarms", push=True)
    assert line == "retirement@v1.0.0 is in prod instead of v1.1.0, by retirement#prod#3"
    after = tags.ids()
    assert before.items() <= after.items()
    assert after == tags.ids("origin")
    assert set(after) - set(before) == {"retirement#prod#3", "retirement#prod!#4"}
    assert git.commit("retirement#prod#3") == first
    assert git.commit("retirement#prod!#4") == second
    last, gone = tags.read("retirement").events[-1], tags.read("retirement").events[-2]
    assert (last.tag, last.message) == ("retirement#prod#3", "v1.0.0 to prod\n\n#1: too many\nfalse alarms\n")
    assert (gone.tag, gone.message.splitlines()[0]) == ("retirement#prod!#4", "v1.1.0 out of prod")
    assert holder() == "v1.0.0"


def test_one_step_back_is_two_tags_however_many_versions_there_were(release: Release) -> None:
    """Lower versions stay in the stage: no tool takes them for the one that is in use."""
    for number in range(6):
        release(f"v1.{number}.0")
    before = tags.ids().keys()
    assert back() == "v1.4.0"
    assert tags.ids().keys() - before == {"retirement#prod#7", "retirement#prod!#8"}


def test_without_push_the_tags_stay_here(here: Project, release: Release) -> None:
    """And the line says how they get to the others."""
    release("v1.0.0", push=True)
    release("v1.1.0", push=True)
    line = rollback("retirement", to=None, reason="x", push=False)
    assert line.endswith("; git push --atomic origin 'retirement#prod!#4' 'retirement#prod#3' shares it")
    assert len(tags.ids("origin")) == 4
    here.run(line.split("; ")[1].removesuffix(" shares it"))
    assert tags.ids("origin") == tags.ids()


def test_all_resolvers_agree_after_a_rollback(here: Project, release: Release) -> None:
    """GTO's command, its function that prefers the highest version, and DVC, which takes the last tag."""
    import gto.api
    from dvc.repo import Repo

    here.run("dvc init -q")
    first = release("v1.0.0")
    release("v1.1.0")
    release("v1.2.0")
    assert back("v1.0.0") == "v1.0.0"
    assert here.out("gto show 'retirement#prod' --version").split() == ["v1.0.0"]
    assert [version.version for version in gto.api.find_versions_in_stage(".", "retirement", "prod")] == [
        "v1.0.0"
    ]
    with Repo() as repo:
        assert repo.artifacts.get_rev("retirement", stage="prod") == first


def test_rolling_back_twice_goes_back_further(release: Release) -> None:
    """Not back and forth; at the first version it ends."""
    for version in ("v1.0.0", "v1.1.0", "v1.2.0"):
        release(version)
    assert [back(), back()] == ["v1.1.0", "v1.0.0"]
    with pytest.raises(
        PerenneError, match=r"no version was in prod before v1.0.0; name one of v1.2.0, v1.1.0"
    ):
        back()
    assert holder() == "v1.0.0"


def test_release_after_a_rollback_goes_back_to_where_it_came_from(release: Release) -> None:
    """Not to the version that was rolled back from."""
    release("v1.0.0")
    release("v1.1.0")
    back()
    release("v1.2.0")
    assert back() == "v1.0.0"


def test_version_named_goes_forward_as_well(release: Release) -> None:
    """And the one before it is then the one that it took the place of."""
    for version in ("v1.0.0", "v1.1.0", "v1.2.0"):
        release(version)
    assert [back("1.0.0"), back("retirement@v1.2.0"), back()] == ["v1.0.0", "v1.2.0", "v1.0.0"]


def test_deregistered_version_is_passed_over(here: Project, release: Release) -> None:
    """It must not return by itself."""
    for version in ("v1.0.0", "v1.1.0", "v1.2.0"):
        release(version)
    here.run("gto deprecate retirement v1.1.0")
    with pytest.raises(PerenneError, match=r"deregistered it"):
        back("v1.1.0")
    assert back() == "v1.0.0"


def test_version_taken_out_by_hand_is_passed_over(here: Project, release: Release) -> None:
    """What was in the stage before v1.2.0 is v1.0.0: v1.1.0 had been taken out again."""
    release("v1.0.0")
    release("v1.1.0")
    here.run("git tag -a -m x 'retirement#prod!#3'", GIT_COMMITTER_DATE="@1600000500 +0000")
    release("v1.2.0")
    assert back() == "v1.0.0"


def test_stages_are_rolled_back_one_by_one(release: Release) -> None:
    """Another stage keeps what it has."""
    commits = [release(version) for version in ("v1.0.0", "v1.1.0")]
    for commit in commits:
        publish([assigned(tags.read("retirement"), "staging", commit, "x")], push=False)
    assert back(stage="staging") == "v1.0.0"
    assert holder("prod") == "v1.1.0"
    assert back("staging") == "v1.0.0"  # the version that is in another stage


def test_already_there_is_said_and_done(release: Release) -> None:
    """A command that is run twice in an emergency does no harm."""
    release("v1.0.0")
    before = tags.ids()
    assert (
        rollback("retirement", to="v1.0.0", reason="x", push=False) == "retirement@v1.0.0 is in prod already"
    )
    assert tags.ids() == before


def test_empty_stage_needs_a_version_to_be_named(here: Project, release: Release) -> None:
    """What was there last was taken away for a reason."""
    with pytest.raises(PerenneError, match="prod is empty, so there is no version before; name a version"):
        back()
    release("v1.0.0")
    here.run("git tag -a -m x 'retirement#prod!#2'")
    with pytest.raises(PerenneError, match="prod is empty, so there is no version before"):
        back()
    line = rollback("retirement", to="v1.0.0", reason="x", push=False)
    assert line.startswith("retirement@v1.0.0 is in prod which was empty, by retirement#prod#3")


def test_deprecated_model_is_not_rolled_back(here: Project, release: Release) -> None:
    """The tags would be made and count for nothing."""
    release("v1.0.0")
    here.run("git tag -a -m x retirement@deprecated")
    with pytest.raises(PerenneError, match="retirement: deprecated by retirement@deprecated; register a new"):
        back("v1.0.0")


def test_tags_of_others_are_fetched_first(here: Project, release: Release) -> None:
    """A clone that lags behind rolls back what is in the stage now."""
    release("v1.0.0", push=True)
    release("v1.1.0", push=True)
    here.run("git tag -d retirement@v1.1.0 'retirement#prod#2'")
    assert holder() == "v1.0.0"
    assert back(push=True) == "v1.0.0"
    assert sorted(tags.ids("origin"))[-2:] == ["retirement@v1.0.0", "retirement@v1.1.0"]
    assert "retirement#prod#3" in tags.ids("origin")


def test_rollback_and_release_at_once_exclude_each_other(here: Project, release: Release) -> None:
    """They use the same next tag of the stage, so one of them fails."""
    release("v1.0.0", push=True)
    release("v1.1.0", push=True)
    stale = tags.read("retirement")
    here.commit("for v1.2.0")
    head = git.commit("HEAD")
    new = [Tag("retirement@v1.2.0", head, "x"), assigned(stale, "prod", head, "released")]
    names = set(tags.ids())
    back(push=True)
    git.git("tag", "--delete", *(set(tags.ids()) - names))
    with pytest.raises(
        PerenneError, match=r"^retirement#prod#3 was made by Ada .*; run perenne gate against it"
    ):
        publish(new, push=True)
    assert "retirement@v1.2.0" not in tags.ids() | tags.ids("origin")
