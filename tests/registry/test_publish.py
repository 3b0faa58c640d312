"""Tags published together: here and in the remote, all or none, by one of two who try."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.documents.proof import Proof
from perenne.registry import tags
from perenne.registry.publish import Tag, assigned, publish, push
from tests.project import ROOT, Project, environment
from tests.registry.conftest import LONG_AGO, Release

VERBATIM = """A release

# not a comment
  indented, then two empty lines


---
as_of: 2019Q4
"""


def pair(version: str) -> list[Tag]:
    """The tags of a release of the last commit."""
    head = git.commit("HEAD")
    stage = assigned(tags.read("retirement"), "prod", head, "released")
    return [Tag(f"retirement@{version}", head, VERBATIM), stage]


def on_origin(here: Project) -> dict[str, str]:
    """The tags of the origin."""
    listed = here.out("git -C ../origin.git for-each-ref --format='%(objectname) %(refname:short)' refs/tags")
    return {name: tag for tag, name in map(str.split, listed.splitlines())}


@pytest.fixture
def grace(here: Project) -> Project:
    """Return a clone for Grace to work in."""
    here.run("git clone -q ../origin.git ../grace")
    return Project(here.path.parent / "grace")


Turn = Callable[[Project, str], None]


@pytest.fixture
def turn(monkeypatch: pytest.MonkeyPatch) -> Turn:
    """Return a function that gives the turn to somebody, in a clone of theirs."""

    def give(project: Project, who: str) -> None:
        monkeypatch.chdir(project.path)
        monkeypatch.setenv("GIT_COMMITTER_NAME", who)
        monkeypatch.setenv("GIT_COMMITTER_EMAIL", f"{who.lower()}@example.org")

    return give


def test_message_is_kept_word_for_word(here: Project) -> None:
    """Lines that begin with # and empty lines too; a missing last line's end is put there."""
    publish(pair("v1.0.0"), push=False)
    assert here.out("git cat-file tag retirement@v1.0.0").split("\n\n", 1)[1] == VERBATIM
    publish([Tag("retirement#prod#2", "HEAD", "no end of line")], push=False)
    assert here.out("git cat-file tag 'retirement#prod#2'").endswith("\n\nno end of line\n")


def test_gto_reads_what_is_published(here: Project, release: Release) -> None:
    """Its commands list the versions, the stage and every event."""
    release("v1.0.0")
    release("v1.1.0")
    assert here.out("gto show retirement@greatest --version").split() == ["v1.1.0"]
    assert here.out("gto show 'retirement#prod' --version").split() == ["v1.1.0"]
    history = json.loads(here.out("gto history retirement --json --asc"))
    assert [(event["event"], event["version"], event["ref"]) for event in history] == [
        ("registration", "v1.0.0", "retirement@v1.0.0"),
        ("assignment", "v1.0.0", "retirement#prod#1"),
        ("registration", "v1.1.0", "retirement@v1.1.0"),
        ("assignment", "v1.1.0", "retirement#prod#2"),
    ]


def test_tags_are_pushed_together(here: Project) -> None:
    """The origin has the same objects, and no others."""
    here.run("git config push.followTags true && git tag -a -m mine private")
    publish(pair("v1.0.0"), push=True)
    released = {name: tag for name, tag in tags.ids().items() if name != "private"}
    assert sorted(released) == ["retirement#prod#1", "retirement@v1.0.0"]
    assert on_origin(here) == released == tags.ids("origin")


def test_unpushed_tags_stay_here(here: Project) -> None:
    """Until they are pushed; pushing again changes nothing."""
    publish(pair("v1.0.0"), push=False)
    assert on_origin(here) == {}
    push("retirement")
    push("retirement")
    assert on_origin(here) == tags.ids()


def test_unpushed_tags_go_along_with_the_next(here: Project) -> None:
    """Those of this model: the champion that a release was proven against must be known where it is."""
    publish(pair("v1.0.0"), push=False)
    publish([Tag("pension@v1.0.0", "HEAD", "another model's")], push=False)
    here.commit("more")
    publish(pair("v1.1.0"), push=True)
    assert on_origin(here) == {name: tag for name, tag in tags.ids().items() if "pension" not in name}


def withdraw(here: Project, *tags: str) -> None:
    """Delete tags in the origin, as a maintainer does who withdraws a release."""
    here.run(f"git -C ../origin.git tag -d {' '.join(repr(tag) for tag in tags)}")


RELEASED = ["retirement#prod#1", "retirement@v1.0.0"]


@pytest.mark.parametrize("known", ["pushed from here", "fetched", "cloned"])
def test_withdrawn_version_does_not_come_back(known: str, here: Project, turn: Turn) -> None:
    """A clone that still has its tags does not push them along with the next release."""
    publish(pair("v1.0.0"), push=True)
    mine = here
    if known != "pushed from here":
        here.run("git push -q origin HEAD && git clone -q ../origin.git ../grace")
        mine = Project(here.path.parent / "grace")
        turn(mine, "Grace")
    if known == "fetched":
        tags.fetch()
    withdraw(here, *RELEASED)
    mine.run("git commit -q --allow-empty -m next")
    with pytest.raises(PerenneError, match=r"the tags .*retirement@v1\.0\.0.* not in origin.*git tag -d "):
        publish(pair("v1.1.0"), push=True)
    assert on_origin(here) == {}
    assert sorted(tags.ids()) == RELEASED, "nothing is left of the release that was refused"


def test_fetching_tells_of_a_withdrawal(here: Project) -> None:
    """Until this clone agrees or puts it back, the withdrawn version would count here and nowhere else."""
    publish(pair("v1.0.0"), push=True)
    withdraw(here, *RELEASED)
    with pytest.raises(PerenneError, match="not in origin any more") as told:
        tags.fetch()
    agree, put_back = str(told.value).split("To agree: ")[1].split("; to put it back: ")
    here.run(put_back)
    tags.fetch()
    assert sorted(on_origin(here)) == sorted(tags.ids()) == RELEASED
    withdraw(here, *RELEASED)
    here.run(agree)
    tags.fetch()
    assert tags.ids() == {}


def test_tag_made_by_hand_is_not_pushed_unasked(here: Project) -> None:
    """Nobody knows whether it was withdrawn; the error has both ways on."""
    here.run("gto register retirement")
    here.run("git commit -q --allow-empty -m next")
    with pytest.raises(PerenneError, match=r"if it is new: git push origin retirement@v0\.0\.1") as told:
        publish(pair("v1.0.0"), push=True)
    here.run(str(told.value).split("if it is new: ")[1])
    publish(pair("v1.0.0"), push=True)
    assert on_origin(here).keys() == {*RELEASED, "retirement@v0.0.1"}


def test_tags_are_dated_one_after_the_other(here: Project, release: Release) -> None:
    """Also after tags of a machine whose clock is ahead: each a second later at the least."""
    release("v1.0.0")
    here.run("git tag -a -m x retirement#staging#5", GIT_COMMITTER_DATE="@4102444800 +0000")
    here.run("git tag -a -m x pension#prod#5", GIT_COMMITTER_DATE="@4112444800 +0000")
    release("v1.1.0")
    publish([Tag("retirement#prod!#9", "HEAD", "x")], push=False)
    dates = [int(event.at.timestamp()) for event in tags.read("retirement").events]
    assert dates == [LONG_AGO - 1, LONG_AGO, 4102444800, 4102444801, 4102444802, 4102444803]


def test_publishing_in_the_same_second_keeps_the_order(here: Project) -> None:
    """By the machine's own clock; the last tag of the first release is dated now, not later."""
    publish(pair("v1.0.0"), push=False)
    here.commit("more")
    publish(pair("v1.1.0"), push=False)
    events = tags.read("retirement").events
    dates = [event.at for event in events]
    assert [event.tag for event in events][::2] == ["retirement@v1.0.0", "retirement@v1.1.0"]
    assert dates == sorted(set(dates))
    assert dates[1].timestamp() <= time.time()


def test_tag_that_none_can_follow_is_named(here: Project) -> None:
    """A tag after the last date that counts would be made, pushed, and say nothing."""
    here.run("git tag -a -m x retirement#staging#5", GIT_COMMITTER_DATE="@32503679998 +0000")
    with pytest.raises(PerenneError, match=r"retirement#staging#5: dated 2999-12-31.*git tag -d"):
        publish(pair("v1.0.0"), push=False)
    assert list(tags.ids()) == ["retirement#staging#5"]


def test_nothing_is_left_if_one_cannot_be_made(here: Project) -> None:
    """The tag that was there stays."""
    here.run("git tag 'retirement#prod#1'")
    before = tags.ids()
    new = [Tag("retirement@v1.0.0", "HEAD", "x"), Tag("retirement#prod#1", "HEAD", "x")]
    with pytest.raises(PerenneError, match=r"git tag: tag 'retirement#prod#1' already exists"):
        publish(new, push=False)
    assert tags.ids() == before


def test_nothing_is_left_if_the_remote_refuses(here: Project) -> None:
    """With git's own reason."""
    hook = here.path.parent / "origin.git/hooks/update"
    hook.write_text('#!/bin/sh\ncase "$1" in *prod*) exit 1;; esac\n')
    hook.chmod(0o755)
    with pytest.raises(PerenneError, match=r"git push: .*retirement#prod#1 \(hook declined\)"):
        publish(pair("v1.0.0"), push=True)
    assert tags.ids() == on_origin(here) == {}


def test_nothing_is_left_if_the_remote_is_gone(here: Project) -> None:
    """Nor if there never was one."""
    here.run("git remote set-url origin ../gone.git")
    with pytest.raises(PerenneError, match=r"gone\.git"):
        publish(pair("v1.0.0"), push=True)
    here.run("git remote remove origin")
    with pytest.raises(
        PerenneError, match=r"git remote: there is none to push to; git remote add origin URL"
    ):
        publish(pair("v1.0.0"), push=True)
    assert tags.ids() == {}


def test_tags_that_the_remote_took_before_it_failed_are_published(here: Project) -> None:
    """A connection that breaks after the fact is no reason to say that somebody else was quicker."""
    hook = here.path.parent / "origin.git/hooks/post-receive"
    hook.write_text("#!/bin/sh\nkill -9 $PPID\n")
    hook.chmod(0o755)
    assert here.run("git tag t && git push origin t", status=None).returncode != 0
    publish(pair("v1.0.0"), push=True)
    assert sorted(on_origin(here)) == ["retirement#prod#1", "retirement@v1.0.0", "t"]
    assert tags.ids() == on_origin(here)


@pytest.mark.parametrize("name", ["v1.0.0", "retirement", "retirement@v1", "retirement@latest"])
def test_other_tags_are_not_published(name: str, here: Project) -> None:
    """Nobody would read them."""
    with pytest.raises(PerenneError, match=f"^{name}: not a release tag, such as"):
        publish([Tag(name, "HEAD", "x")], push=False)
    assert here.out("git tag") == ""


def test_commit_is_one_version_only(here: Project, release: Release) -> None:
    """GTO reads nothing any more of a model that has a commit with two, even if one was deregistered."""
    release("v1.0.0")
    here.run("git tag -a -m x 'retirement@v1.0.0!'")
    with pytest.raises(
        PerenneError, match=r"^retirement@v1\.1\.0: commit [0-9a-f]{7} is retirement@v1\.0\.0"
    ):
        publish([Tag("retirement@v1.1.0", "HEAD", "x")], push=False)
    here.commit("more")
    publish([Tag("retirement@v1.1.0", "HEAD", "x")], push=False)
    assert [version.version for version in tags.read("retirement").versions] == ["v1.1.0"]


def test_loser_is_told_who_won(here: Project, grace: Project, turn: Callable[[Project, str], None]) -> None:
    """And has the winner's tags instead of its own."""
    turn(grace, "Grace")
    publish(pair("v1.0.0"), push=True)
    won, when = on_origin(here), tags.read("retirement").versions[0].at
    turn(here, "Ada")
    with pytest.raises(PerenneError) as error:
        publish(pair("v1.0.0"), push=True)
    assert str(error.value) == (
        f"retirement@v1.0.0 was released by Grace <grace@example.org> on {when:%Y-%m-%d} from commit "
        f"{git.commit('HEAD')[:7]} meanwhile; run perenne gate against it and release again"
    )
    assert tags.ids() == on_origin(here) == won


def test_other_version_for_the_same_stage_loses_too(
    here: Project, grace: Project, turn: Callable[[Project, str], None]
) -> None:
    """It was compared with a champion that is no more; its version's tag is not left behind either."""
    turn(grace, "Grace")
    publish(pair("v1.0.0"), push=True)
    won = on_origin(here)
    turn(here, "Ada")
    with pytest.raises(
        PerenneError, match=r"^retirement#prod#1 was made by Grace .*run perenne gate against it"
    ):
        publish(pair("v0.9.0"), push=True)
    assert tags.ids() == on_origin(here) == won
    git.git("tag", "--delete", *won)
    with pytest.raises(
        PerenneError, match=r"^retirement#prod#1 was made by Grace .*; see perenne models, then"
    ):
        publish([Tag("retirement#prod#1", "HEAD", "a rollback")], push=True)
    assert tags.ids() == on_origin(here) == won


def test_name_taken_by_a_tag_that_is_no_release(here: Project) -> None:
    """A lightweight tag in the remote is not a release; it only uses the name."""
    here.run(
        "git tag retirement@v1.0.0 && git push -q origin retirement@v1.0.0 && git tag -d retirement@v1.0.0"
    )
    with pytest.raises(
        PerenneError, match=r"the remote has a tag retirement@v1.0.0 that is none of a release"
    ):
        publish(pair("v1.0.0"), push=True)
    assert [*tags.ids()] == ["retirement@v1.0.0"]


RACER = """
import sys
from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.registry import publish, tags
for line in sys.stdin:
    version, head = line.strip(), git.commit("HEAD")
    stage = publish.assigned(tags.read("retirement"), "prod", head, "race")
    try:
        publish.publish([publish.Tag(f"retirement@{version}", head, "race"), stage], push=True)
        print("won", flush=True)
    except PerenneError as error:
        print(error, flush=True)
"""


def test_of_two_at_once_one_wins(here: Project, grace: Project) -> None:
    """Ten times: the origin has the winner's pair, the loser has it too and none of its own."""
    # A slow machine must not make a server give up on the winner's lock, for then it says another reason.
    here.run("git -C ../origin.git config core.filesRefLockTimeout 20000")
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER],
            cwd=project.path,
            env=environment(project.path) | {"PYTHONPATH": str(ROOT), "GIT_COMMITTER_NAME": who},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for who, project in (("Ada", here), ("Grace", grace))
    ]
    losers: list[int] = []
    for number in range(10):
        for project in (here, grace):
            project.commit(f"{project.path.name} {number}")
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write(f"v1.{number}.0\n")
            racer.stdin.flush()
        said = [racer.stdout.readline().strip() for racer in racers if racer.stdout]
        assert sorted(answer == "won" for answer in said) == [False, True], said
        loser = 1 - said.index("won")
        losers.append(loser)
        winner = ("Grace", "Ada")[loser]
        assert said[loser].startswith(
            f"retirement@v1.{number}.0 was released by {winner} <ada@example.org> on"
        )
        check_round(here, grace, loser, number)
    for racer in racers:
        racer.communicate()


def check_round(here: Project, grace: Project, loser: int, number: int) -> None:
    """All three repositories have the same tags, the last two of the winner's commit."""
    tagged = "git for-each-ref --format='%(refname) %(objectname) %(*objectname)' refs/tags"
    listed = here.out(tagged).splitlines()
    assert listed == grace.out(tagged).splitlines() == here.out(f"cd ../origin.git && {tagged}").splitlines()
    assert len(listed) == 2 * (number + 1)
    head = (grace, here)[loser].out("git rev-parse HEAD").strip()
    pair = [line for line in listed if line.endswith(head)]
    assert [line.split()[0] for line in pair] == [
        f"refs/tags/retirement#prod#{number + 1}",
        f"refs/tags/retirement@v1.{number}.0",
    ]


@pytest.fixture
def ssh(here: Project) -> None:
    """Give the user an SSH key to sign with."""
    key = here.path.parent / "key"
    here.run(
        f"ssh-keygen -q -t ed25519 -N '' -f {key} && echo \"ada@example.org $(cat {key}.pub)\" > {key}.ok"
    )
    here.run(f"git config gpg.format ssh && git config user.signingkey {key}.pub")
    here.run(f"git config gpg.ssh.allowedSignersFile {key}.ok")


@pytest.fixture
def gpg(here: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the user a GPG key to sign with, in a keyring of its own."""
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not on this machine")
    ring = here.path.parent / "gpg"
    ring.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(ring))
    here.run("gpg --batch --quiet --passphrase '' --quick-generate-key ada@example.org ed25519 sign")
    here.run("git config user.signingkey ada@example.org")
    yield
    here.run("gpgconf --kill all")


@pytest.mark.parametrize("key", ["ssh", "gpg"])
def test_user_with_a_key_signs(key: str, here: Project, request: pytest.FixtureRequest) -> None:
    """Both tags; the signature holds, and is no part of the message or the proof."""
    publish(pair("v1.0.0"), push=False)
    request.getfixturevalue(key)
    here.commit("more")
    publish(pair("v1.1.0"), push=True)
    here.run("git verify-tag retirement@v1.1.0 'retirement#prod#2'")
    signed, unsigned = tags.read("retirement").versions
    assert (signed.signed, unsigned.signed) == (True, False)
    assert (signed.message, signed.proof) == (unsigned.message, unsigned.proof)
    assert signed.proof == Proof(as_of="2019Q4")
    assert [event.signed for event in tags.read("retirement").events] == [False, False, True, True]
    publish([Tag("retirement#prod#3", "HEAD", "no end of line")], push=False)
    here.run("git verify-tag 'retirement#prod#3'")


@pytest.mark.usefixtures("ssh")
@pytest.mark.parametrize(
    ("settings", "signed"),
    [
        ("git config tag.gpgSign false", False),
        ("git config tag.gpgSign true", True),
        ("git config --unset user.signingkey", False),
        ("git config tag.forceSignAnnotated true", True),
    ],
)
def test_users_settings_say_whether_to_sign(settings: str, signed: bool, here: Project) -> None:  # noqa: FBT001 -- a parameter of the test
    """A key is there to be used, unless tag.gpgSign says otherwise."""
    here.run(settings)
    publish(pair("v1.0.0"), push=False)
    assert tags.read("retirement").versions[0].signed == signed


@pytest.mark.usefixtures("ssh")
@pytest.mark.parametrize(
    ("mishap", "error"),
    [
        ("rm ../key", r"^retirement@v1\.0\.0: git could not sign it; see git config user.signingkey"),
        ("rm ../key.pub", r"^retirement@v1\.0\.0: git could not sign it"),
        ("git config gpg.ssh.program false", r"^retirement@v1\.0\.0: git could not sign it"),
        ("git config gpg.format openpgp", r"^git tag: error: gpg failed to sign the data"),
    ],
)
def test_nothing_is_left_if_signing_fails(mishap: str, error: str, here: Project) -> None:
    """A key that is gone is no reason to publish unsigned, though Git itself does just that."""
    here.run(mishap)
    with pytest.raises(PerenneError, match=error):
        publish(pair("v1.0.0"), push=True)
    assert tags.ids() == on_origin(here) == {}
