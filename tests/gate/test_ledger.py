"""The ledger of looks: in real repositories, with clones that look at once."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from pathlib import Path

import pandas as pd
import pytest

from perenne.common import notes
from perenne.common.errors import PerenneError
from perenne.documents.proof import Proof
from perenne.documents.verdict import Asker, Verdict
from perenne.gate import ledger
from perenne.gate.ledger import Family
from perenne.registry import tags
from perenne.registry.tags import Registry
from perenne.stats import spending
from tests import tiny
from tests.documents.verdicts import WITHOUT_LOOK
from tests.project import Project

BATCHES = {"2021-03": "aaaa", "2021-04": "bbbb"}
POLICY = {
    "intent": "auto",
    "alpha": 0.05,
    "metric": "brier",
    "rules": {"slices": {"margin": 0.0, "min_blocks": 30}},
}
OTHERS = {"case": "tiny", "intent": "better", "policy": POLICY, "against": ("feed",)}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a clone of a bare origin, as the current folder."""
    project = Project(tmp_path / "ada")
    project.write("a file", "")
    project.run("git init -q -b main && git init -q --bare -b main ../origin.git")
    project.run("git remote add origin ../origin.git")
    project.commit("first")
    project.run("git push -q -u origin main")
    monkeypatch.chdir(project.path)
    for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"):
        monkeypatch.setenv(name, "Ada")
    for name in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "ada@example.org")
    return project


def look(
    challenger: str,
    batches: dict[str, str] = BATCHES,
    *,
    sharing: bool = False,
    asker: Asker = "anyone",
    view: str | None = None,
    grouping: str | None = None,
    released: str | None = None,
    opening: bool = False,
    family: Family | None = None,
) -> ledger.Look:
    """Look at some batches with some challenger."""
    named = {"challenger": {"sha256": challenger, "size": 1}}
    others = {"view": view, "grouping": grouping, "released": released}
    compared = ledger.ComparedModels.model_validate({**OTHERS, **named, **others})
    return ledger.look(batches, compared, 0.05, sharing=sharing, asker=asker, opening=opening, family=family)


def script(*, sharing: bool) -> str:
    """Return a program that makes a look, with a place for the challenger's name, and prints the number."""
    content = OTHERS | {"challenger": {"sha256": "%s", "size": 1}}
    compared = f"ledger.ComparedModels.model_validate({content!r})"
    return (
        "from perenne.gate import ledger\n"
        f"print(ledger.look({BATCHES!r}, {compared}, 0.05, sharing={sharing}).number)"
    )


@pytest.mark.usefixtures("repository")
def test_each_look_spends_its_share() -> None:
    """The first, second and third challenger get their shares, and the rest adds up."""
    looks = [look(name) for name in "abc"]
    assert [look.number for look in looks] == [1, 2, 3]
    assert [look.alpha for look in looks] == [0.05 * spending.share(k) for k in (1, 2, 3)]
    assert looks[2].left == pytest.approx(0.05 - sum(look.alpha for look in looks))


@pytest.mark.usefixtures("repository")
def test_a_family_is_one_look() -> None:
    """Each of its models has the same alpha, which is also what is left when all have been looked at."""
    look("a")
    three = Family("a retraining", 3)
    looks = [look(name, family=three) for name in "bcd"]
    assert [each.alpha for each in looks] == [0.05 / 8] * 3
    assert looks[2].left == pytest.approx(0.05 / 8)
    assert look("c", family=three) == looks[2]._replace(number=looks[1].number), "again, at no cost"
    after = look("e")
    assert after.alpha == 0.05 / 16


@pytest.mark.usefixtures("repository")
def test_a_family_that_stopped_early_leaves_no_more() -> None:
    """That its first model passed is an answer too."""
    look("a", family=Family("a retraining", 3))
    assert look("b").alpha == 0.05 / 8


@pytest.mark.usefixtures("repository")
def test_no_family_has_more_models_than_it_says() -> None:
    """The one that is too many is a look by itself, as are all later ones."""
    two = Family("a retraining", 2)
    assert [look(name, family=two).alpha for name in "abcd"] == [0.05 / 4, 0.05 / 4, 0.05 / 8, 0.05 / 16]


@pytest.mark.usefixtures("repository")
def test_families_do_not_share_what_they_spend() -> None:
    """The next retraining on shared batches is another look, even if some batches are new."""
    look("a", family=Family("a retraining", 3))
    later = look("b", {"2021-04": "bbbb", "2021-05": "cccc"}, family=Family("the next one", 3))
    assert later.alpha == 0.05 / 16


@pytest.mark.usefixtures("repository")
def test_the_same_look_again_costs_nothing() -> None:
    """It reuses its alpha, also after other looks."""
    first = look("a")
    look("b")
    again = look("a")
    assert (again.number, again.alpha) == (first.number, first.alpha)
    assert look("c").number == 3


@pytest.mark.usefixtures("repository")
def test_a_look_of_an_earlier_version_is_known_again() -> None:
    """A look is known by the hash of what was compared, as JSON with sorted keys."""
    look("a")
    (line,) = notes.read("batch", "aaaa")
    compared = OTHERS | {"challenger": {"sha256": "a", "size": 1}}
    assert line["look"] == hashlib.sha256(json.dumps(compared, sort_keys=True).encode()).hexdigest()
    assert {key: line[key] for key in compared} == json.loads(json.dumps(compared))


@pytest.mark.usefixtures("repository")
def test_other_features_of_the_same_labels_are_another_look() -> None:
    """Else whoever changes the features of the holdout gets a new answer each time, and pays once."""
    assert [look("a", view=digit * 64).number for digit in "123"] == [1, 2, 3]
    assert look("a", view="2" * 64).number == 2


@pytest.mark.usefixtures("repository")
def test_other_blocks_of_the_same_rows_are_another_look() -> None:
    """Bounds are others, and so the answer may be: who changes what is measured asks again."""
    assert [look("a", grouping=blocks).number for blocks in ("day", "row", None, "day")] == [1, 2, 3, 1]


@pytest.mark.usefixtures("repository")
def test_another_refit_of_the_same_model_is_another_look() -> None:
    """That it is like the proven one is a part of the answer: who varies it asks again."""
    assert [look("a", released=model).number for model in ("x", "y", None, "x")] == [1, 2, 3, 1]


@pytest.mark.usefixtures("repository")
def test_verdict_of_an_earlier_version_has_its_look() -> None:
    """That did not name the refitted model."""
    verdict = verdict_on("a", look("a"))
    refit = verdict.challenger.model_copy(update={"sha256": "refit"})
    ledger.affordable(verdict.model_copy(update={"released": refit}))


def test_view_is_of_rows_and_contract() -> None:
    """Blocks and slices are the contract's: a change of them is another question."""
    contract = tiny.contract()
    other = tiny.contract("role: [feature, slice]", "role: feature")
    views = {ledger.view(md5, each) for md5 in ("1" * 32, "2" * 32) for each in (contract, other)}
    assert len(views) == 4
    assert ledger.view("1" * 32, contract) in views
    written = tiny.contract("label_delay: 0", 'label_delay: 0\nread: {delimiter: ";"}')
    assert ledger.view("1" * 32, written) == ledger.view("1" * 32, contract)


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("asker", ["anyone", "own", "fork"])
def test_an_opened_holdout_is_closed(asker: Asker) -> None:
    """Nobody spends anything on a batch of it any more; the look that opened it stays what it was."""
    look("a")
    opened = look("b", opening=True)
    assert (opened.number, opened.alpha, opened.left, opened.opened) == (2, 0.05 * spending.share(2), 0, True)
    assert look("b", opening=True) == look("b") == opened
    later = look("c", asker=asker)
    assert (later.alpha, later.opened) == (0, True)
    assert look("d", {"2021-04": "bbbb", "2021-05": "cccc"}).alpha == 0
    assert look("d", {"2021-04": "a row less", "2021-06": "dddd"}).alpha == 0
    assert look("d", {"2021-07": "eeee"})[:2] == (1, 0.05 * spending.share(1))


@pytest.mark.usefixtures("repository")
def test_look_that_was_made_can_be_opened() -> None:
    """Its alpha was spent before anything was seen, so its answer stands; what comes later has none."""
    first = look("a")
    assert look("a", opening=True)[:2] == first[:2]
    assert look("b").alpha == 0


@pytest.mark.usefixtures("repository")
def test_a_shared_batch_is_a_shared_look() -> None:
    """A holdout that overlaps with one looked at has less left; one that does not is new."""
    look("a", {"2021-03": "aaaa", "2021-04": "bbbb"})
    assert look("b", {"2021-04": "bbbb", "2021-05": "cccc"}).number == 2
    assert look("c", {"2021-06": "dddd"}).number == 1


@pytest.mark.usefixtures("repository")
def test_alpha_is_never_overspent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever looks there were, those at one batch spend no more than alpha together."""
    monkeypatch.setattr(spending, "share", lambda _look: 0.4)
    looks = [look(name) for name in "abcde"]
    assert sum(look.alpha for look in looks) == pytest.approx(0.05)
    assert looks[-1].alpha == 0


@pytest.mark.usefixtures("repository")
def test_forks_have_an_allowance_of_their_own() -> None:
    """The shares are the same, of less; neither side's looks count for the other's."""
    forks = [look(name, asker="fork") for name in "abc"]
    assert [look.number for look in forks] == [1, 2, 3]
    shares = [0.05 * ledger.FORKS * spending.share(k) for k in (1, 2, 3)]
    assert [look.alpha for look in forks] == pytest.approx(shares)
    assert look("d", asker="own")[:2] == (1, 0.05 * spending.share(1))
    assert look("e", asker="fork").number == 4
    assert look("f").number == 2


@pytest.mark.usefixtures("repository")
def test_model_that_a_fork_has_looked_at_is_released_at_its_alpha() -> None:
    """Of fifty models of forks the best one is merged: its release is not a first look."""
    for name in "abc":
        look(name, asker="fork")
    assert look("c").alpha == pytest.approx(0.05 * ledger.FORKS * spending.share(3))
    own = look("c", asker="own")
    assert (own.number, own.alpha) == (1, 0.05 * spending.share(1))
    assert look("c") == look("c", asker="fork") == own


def named(repository: Project, ledger_commit: str, version: str = "v1.0.0") -> Registry:
    """Return the registry after a release whose tag names a commit of the ledger."""
    proof = Proof(ledger=ledger_commit).to_yaml()
    repository.write("message", f"tiny {version}\n\n---\n{proof}")
    repository.run(f"git tag -a --cleanup=verbatim -F message 'tiny@{version}' && rm message")
    return tags.read("tiny")


def test_ledger_that_a_release_names_must_be_there(
    repository: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted or begun anew on the remote, it is refused, and the commands of the error bring it back."""
    look("a", sharing=True)
    there = notes.commit()
    assert there
    registry = named(repository, there)
    ledger.complete(registry)
    look("b", sharing=True)
    ledger.complete(registry)
    for restarted in (False, True):
        repository.run("git push -q origin :refs/notes/perenne && git push -q origin --tags")
        other = Project(repository.path.parent / f"clone{restarted}")
        repository.run(f"git clone -q ../origin.git {other.path}")
        monkeypatch.chdir(other.path)
        if restarted:
            look("c", sharing=True)
        notes.fetch()
        with pytest.raises(
            PerenneError, match=rf"^refs/notes/perenne: lacks {there}, which tiny@v1\.0\.0"
        ) as error:
            ledger.complete(registry)
        first, second, _ = re.findall(r": (git .*?)(?:;|$)", str(error.value))
        command = second if restarted else first
        repository.run(command)
        notes.fetch()
        ledger.complete(registry)
        monkeypatch.chdir(repository.path)


def test_ledger_that_was_cut_back_is_noticed(repository: Project) -> None:
    """Without a release or a remote as well: the clone knows what it had, and the command brings it back."""
    repository.run("git remote remove origin")
    registry = tags.read("tiny")
    ledger.complete(registry)
    look("a")
    kept = notes.commit()
    look("b")
    ledger.complete(registry)
    for command in (f"git update-ref {notes.REF} {kept}", f"git update-ref -d {notes.REF}"):
        repository.run(command)
        notes.fetch()
        with pytest.raises(
            PerenneError, match=rf"^{notes.REF}: lacks [0-9a-f]{{40}}, which was here"
        ) as error:
            ledger.complete(registry)
        repository.run(str(error.value).split("; ")[1].removesuffix(" brings them back"))
        ledger.complete(registry)
    assert look("c").number == 3


def test_tag_that_names_a_commit_which_nobody_has_can_be_deleted(repository: Project) -> None:
    """It is forged, and would stop the gate for ever: the last command of the error deletes it everywhere."""
    registry = named(repository, "f" * 40)
    repository.run("git push -q origin --tags")
    tags.fetch()
    with pytest.raises(PerenneError, match=r"lacks f+, which tiny@v1\.0\.0") as error:
        ledger.complete(registry)
    repository.run(str(error.value).rpartition(": ")[2])
    tags.fetch()
    ledger.complete(tags.read("tiny"))
    assert tags.ids() == tags.ids("origin") == {}


@pytest.mark.parametrize("commit", ["x", "--all", "7", ""])
def test_tag_whose_ledger_is_no_commit_names_none(repository: Project, commit: str) -> None:
    """Anybody can write a tag: it must not stop the registry; earlier versions of Perenne named none."""
    ledger.complete(named(repository, commit))


def test_looks_of_two_clones_merge(repository: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that looked without sharing count both once they meet, in both clones."""
    repository.run("git clone -q ../origin.git ../grace")
    look("a")
    monkeypatch.chdir(repository.path.parent / "grace")
    assert look("b").number == 1
    notes.share()
    monkeypatch.chdir(repository.path)
    notes.fetch()
    assert look("c").number == 3
    notes.share()
    monkeypatch.chdir(repository.path.parent / "grace")
    notes.fetch()
    assert look("d").number == 4


def verdict_on(challenger: str, spent: ledger.Look, batches: dict[str, str] = BATCHES) -> Verdict:
    """Return the verdict of a look."""
    content = WITHOUT_LOOK.to_json() | OTHERS
    content |= {"challenger": {"sha256": challenger, "size": 1}, "answer": "eligible", "against": ["feed"]}
    content |= {"holdout": content["holdout"] | {"batches": batches}}
    alpha = {"look": spent.number, "spent": spent.alpha, "left": spent.left, "total": spent.total}
    return Verdict.from_json(content | {"alpha": alpha}, "a verdict")


def test_clones_that_did_not_push_release_nothing(
    repository: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each had the first look, at half of alpha. Of two that is all of alpha, of three more than all."""
    verdicts = {"a": verdict_on("a", look("a"))}
    for name, batches in (("b", BATCHES), ("c", {"2021-04": "a row less"})):
        repository.run(f"git clone -q ../origin.git ../{name}")
        monkeypatch.chdir(repository.path.parent / name)
        verdicts[name] = verdict_on(name, look(name, batches), batches)
        ledger.affordable(verdicts[name])
    for name in "abc":
        monkeypatch.chdir(repository.path if name == "a" else repository.path.parent / name)
        notes.share()
        if name == "c":
            for verdict in verdicts.values():
                with pytest.raises(PerenneError, match=r"did not push them have spent 0\.\d+ of alpha 0\.0"):
                    ledger.affordable(verdict)
        else:
            ledger.affordable(verdicts[name])


@pytest.mark.usefixtures("repository")
def test_looks_one_after_another_are_affordable() -> None:
    """All of them, for good: also the one that has opened the holdout, one that it overlaps, and a family."""
    verdicts = [verdict_on(name, look(name)) for name in "abc"]
    later = {"2021-04": "bbbb", "2021-05": "cccc"}
    family = Family("a retraining", 3)
    verdicts += [verdict_on(name, look(name, later, family=family), later) for name in "def"]
    verdicts.append(verdict_on("c", look("c", opening=True)))
    for verdict in verdicts:
        ledger.affordable(verdict)


@pytest.mark.usefixtures("repository")
def test_verdict_without_its_look_is_worth_nothing() -> None:
    """The look was lost, or it was at other batches, or of other models."""
    first = look("a")
    ledger.affordable(verdict_on("a", first))
    for verdict in (verdict_on("b", first), verdict_on("a", first, {"2021-03": "aaaa", "2021-05": "cccc"})):
        with pytest.raises(PerenneError, match=r"has no look for the verdict on [ab]; run perenne gate"):
            ledger.affordable(verdict)


def test_sharing_gives_no_number_twice(repository: Project) -> None:
    """Clones that look at the same time take one number each, and no line is lost."""
    names = [f"clone{i}" for i in range(4)]
    for name in names:
        repository.run(f"git clone -q ../origin.git ../{name}")
    printed: list[str] = []

    def run(name: str) -> None:
        printed.append(
            Project(repository.path.parent / name).out(
                f'python -c "{script(sharing=True) % name}"', PYTHONPATH=str(Path(ledger.__file__).parents[2])
            )
        )

    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, printed)) == [1, 2, 3, 4]
    notes.fetch()
    assert look("one more").number == 5


def test_two_at_once_in_one_clone_lose_no_line(repository: Project) -> None:
    """Git's notes alone would: the last to write would win."""
    commands = " & ".join(f'python -c "{script(sharing=False) % i}"' for i in range(4))
    repository.run(f"{commands} & wait", PYTHONPATH=str(Path(ledger.__file__).parents[2]))
    assert look("one more").number == 5


def test_a_look_that_cannot_be_shared_does_not_count(repository: Project) -> None:
    """Where the push fails, nothing is written down, and nothing may be compared."""
    repository.run("git remote set-url origin ../nowhere.git")
    with pytest.raises(notes.NotPushedError, match="nowhere"):
        look("a", sharing=True)
    assert look("b").number == 1


def test_remote_that_takes_no_looks_says_so_at_once(repository: Project) -> None:
    """A hook or a rule of the host declines them: nobody was faster, and another try does not help."""
    hook = repository.path.parent / "origin.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    with pytest.raises(notes.NotPushedError, match="declined"):
        look("a", sharing=True)
    assert notes.read("batch", "aaaa") == []


def test_verdicts_stand_under_their_model(repository: Project) -> None:
    """They are read as they were written, for that model only."""
    verdict = WITHOUT_LOOK.model_copy(update={"why": "é # <b>\n"})
    ledger.record(verdict, sharing=True)
    assert ledger.verdicts(verdict.challenger.sha256) == [verdict]
    assert ledger.verdicts("beef") == []
    lines = repository.out("git ls-remote origin refs/notes/perenne")
    assert lines.endswith("refs/notes/perenne\n")


@pytest.mark.usefixtures("repository")
def test_without_a_remote_there_is_nothing_to_fetch(repository: Project) -> None:
    """A repository without a remote keeps a ledger as well."""
    repository.run("git remote remove origin")
    notes.fetch()
    assert look("a").number == 1


def rows(text: str) -> pd.DataFrame:
    """Return rows of the tiny case."""
    frame = tiny.frame(text)
    return frame.assign(seen=pd.to_datetime(frame["seen"]), won=frame["won"].astype(int))


def test_a_batch_is_known_by_its_labels() -> None:
    """Neither the order of rows nor another column makes a new holdout; another label does."""
    contract = tiny.contract()
    frame = rows(tiny.table("2021-03", "2021-04"))
    hashes = ledger.hashes(frame, contract)
    assert list(hashes) == ["2021-03", "2021-04"]
    assert ledger.hashes(frame.sample(frac=1, random_state=1).assign(size="9"), contract) == hashes
    changed = ledger.hashes(frame.assign(won=[1 - frame["won"].iloc[0], *frame["won"].iloc[1:]]), contract)
    assert [changed[month] == hashes[month] for month in hashes] == [False, True]


@pytest.mark.parametrize("line", ["{'look': 1}", "a note by hand", "7"])
def test_line_that_cannot_be_read_is_an_error(line: str, repository: Project) -> None:
    """It may have been a look that spent alpha: nothing is judged until the line is repaired."""
    look("a")
    note = repository.out("git notes --ref=perenne list").split()[1]
    repository.run(f'git notes --ref=perenne append -m "{line}" {note}')
    with pytest.raises(PerenneError, match=rf"^refs/notes/perenne: batch .*{note[:12]} mends it$"):
        look("b")


def compared(challenger: str) -> str:
    """Return the name of a look with some challenger: anybody can compute it before the look."""
    content = OTHERS | {"challenger": {"sha256": challenger, "size": 1}}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


GOOD = {"look": "a" * 64, "number": 1, "alpha": 0.01}


@pytest.mark.parametrize(
    "line",
    [
        {"x": 1},
        GOOD | {"look": ["a"]},
        GOOD | {"look": "a"},
        GOOD | {"number": 0},
        GOOD | {"number": True},
        GOOD | {"number": 1.5},
        GOOD | {"number": 10**400},
        GOOD | {"alpha": "abc"},
        GOOD | {"alpha": None},
        GOOD | {"alpha": -0.0335},
        GOOD | {"alpha": -100},
        GOOD | {"alpha": 1},
        GOOD | {"alpha": float("nan")},
        GOOD | {"alpha": float("inf")},
        GOOD | {"fork": [1]},
        GOOD | {"fork": 1},
        GOOD | {"holdout": {}},
        GOOD | {"opened": "yes"},
        GOOD | {"opened": 1},
    ],
)
def test_line_that_is_no_look_is_an_error(line: dict[str, object], repository: Project) -> None:
    """Whoever may push notes may have written it: it must not refill alpha, or end in a traceback."""
    look("a")
    note = batch_note(repository)
    append(repository, note, json.dumps(line))
    with pytest.raises(PerenneError) as error:
        look("b")
    said = str(error.value)
    assert re.fullmatch(
        rf"refs/notes/perenne: batch aaaa: .*; git notes --ref=refs/notes/perenne edit {note[:12]} mends it",
        said,
    )
    command = said.rpartition("; ")[2].removesuffix(" mends it")
    repository.run(command, GIT_EDITOR="sed -i /challenger/!d")
    assert look("b").number == 2


def batch_note(repository: Project) -> str:
    """Return what the note of the batch `aaaa` is attached to."""
    return repository.out("printf 'perenne batch aaaa\\n' | git hash-object -w --stdin").strip()


def append(repository: Project, note: str, line: str) -> None:
    """Add a line by hand."""
    repository.write("line", line)
    repository.run(f"git notes --ref=perenne append -F line {note} && rm line")


@pytest.mark.parametrize("fork", [True, False])
@pytest.mark.parametrize("number", [1, 2])
def test_forged_look_grants_no_more_than_a_look_of_its_number(
    repository: Project, number: int, *, fork: bool
) -> None:
    """A coming look is foretold with more alpha than all looks together may spend."""
    forged = {"look": compared("b"), "number": number, "alpha": 0.49, "fork": fork}
    look("a", {"2021-03": "aaaa"})
    append(repository, batch_note(repository), json.dumps(forged))
    total = 0.05 * (ledger.FORKS if fork else 1)
    assert look("b", {"2021-03": "aaaa"}).alpha == pytest.approx(total * spending.share(number))


def test_forged_line_adds_nothing_to_a_look_that_was_made(repository: Project) -> None:
    """Of several lines of one look the one with the least alpha counts."""
    looks = [look(name, {"2021-03": "aaaa"}) for name in "ab"]
    forged = {"look": compared("b"), "number": 1, "alpha": 0.025}
    append(repository, batch_note(repository), json.dumps(forged))
    assert look("b", {"2021-03": "aaaa"}).alpha == looks[1].alpha


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("asker", ["anyone", "own", "fork"])
def test_a_row_less_does_not_make_another_holdout(asker: Asker) -> None:
    """Each deleted row changes the hash of a batch; the looks at its period spend on, of any model."""
    total = 0.05 * (ledger.FORKS if asker == "fork" else 1)
    campaign = [
        look("a" if n % 2 else f"model {n}", {"2021-03": f"hash {n}", "2021-04": "bbbb"}, asker=asker)
        for n in range(6)
    ]
    assert [one.number for one in campaign] == [1, 2, 3, 4, 5, 6]
    assert sum(one.alpha for one in campaign) <= total
    assert campaign[-1].left == pytest.approx(total - sum(one.alpha for one in campaign))
    assert look("a", {"2021-03": "hash 1", "2021-04": "bbbb"}, asker=asker)[:2] == campaign[1][:2]
    assert look("a", {"2021-04": "bbbb"}, asker=asker).number == 7
    assert look("a", {"2021-05": "cccc"}, asker=asker).number == 1


@pytest.mark.usefixtures("repository")
def test_model_that_a_fork_has_looked_at_stays_the_forks_without_a_row() -> None:
    """The best of a fork's models is no first look because a row was deleted before it was merged."""
    for name in "abc":
        look(name, asker="fork")
    again = look("c", BATCHES | {"2021-03": "a row less"})
    assert (again.number, again.total) == (4, 0.05 * ledger.FORKS)


def test_looks_of_earlier_versions_count(repository: Project) -> None:
    """They name no holdout and stand under no period: the same look is free, another one spends on."""
    for batch in BATCHES.values():
        note = repository.out(f"printf 'perenne batch {batch}\\n' | git hash-object -w --stdin").strip()
        content = OTHERS | {"challenger": {"sha256": "a", "size": 1}}
        append(repository, note, json.dumps({"look": compared("a"), "number": 1, "alpha": 0.02} | content))
    assert look("a")[:2] == (1, 0.02)
    assert look("b").number == 2
    assert look("c", {"2021-03": "a row less"}).number == 3


def test_line_breaks_of_unicode_stay_in_their_line(repository: Project) -> None:
    """A text in a verdict may hold any of them."""
    verdict = WITHOUT_LOOK.model_copy(update={"why": "a\u2028b\x85c"})
    ledger.record(verdict, sharing=False)
    assert ledger.verdicts(verdict.challenger.sha256) == [verdict]
    assert repository


@pytest.mark.parametrize(
    "change",
    [
        {"challenger": {"sha256": "beef", "size": 1}},
        {"alpha": {"look": 0, "spent": 0.01, "left": 0.01, "total": 0.05}},
        {"alpha": {"look": 1, "spent": -0.01, "left": 0.01, "total": 0.05}},
        {"alpha": {"look": 1, "spent": 10**400, "left": 0.01, "total": 0.05}},
        {"alpha": {"look": 1, "spent": float("nan"), "left": 0.01, "total": 0.05}},
        {"policy": {"intent": "auto", "alpha": [1], "metric": "brier", "rules": {}}},
        {"rules": [[]]},
        {"schema": "x"},
        {"answer": "yes", "why": 1},
    ],
)
def test_line_that_is_no_verdict_on_its_model_is_an_error(
    change: dict[str, object], repository: Project
) -> None:
    """One line names the note, and the command that mends it."""
    sha256 = WITHOUT_LOOK.challenger.sha256
    note = repository.out(f"printf 'perenne model {sha256}\\n' | git hash-object -w --stdin").strip()
    append(repository, note, json.dumps(WITHOUT_LOOK.to_json() | change))
    with pytest.raises(PerenneError, match=rf"^refs/notes/perenne: model .* edit {note[:12]} mends it$"):
        ledger.verdicts(sha256)


def test_lines_are_json(repository: Project) -> None:
    """In the notes themselves there is one JSON object per line."""
    look("a")
    notes = repository.out("git notes --ref=perenne list").split()
    lines = [
        json.loads(line) for line in repository.out(f"git cat-file blob {notes[0]}").splitlines() if line
    ]
    assert [line["challenger"]["sha256"] for line in lines] == ["a"]
