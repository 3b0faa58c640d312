"""A commit run again: its own folder, its own inputs, its own environment, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from perenne.common.errors import PerenneError
from perenne.registry import reproduce, variables
from tests.conftest import Enter
from tests.project import ROOT, Project, environment
from tests.registry.visits import INPUT, least, least_reproduced
from tests.tiny import MONTHS, table


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which temporary ones are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def repository(tmp_path: Path, enter: Enter, temporary: Path) -> Project:  # noqa: ARG001 -- it sets a folder
    """Return the least that can be checked out, as the current folder."""
    project = least(tmp_path / "project")
    enter(project)
    return project


@pytest.fixture
def with_input(repository: Project) -> Project:
    """Return it with a file that DVC keeps, in the cache and in a remote whose address is relative."""
    repository.write(INPUT, table(*MONTHS))
    repository.run(f"dvc remote add -q --default store ../store && dvc add -q {INPUT}")
    repository.commit("an input")
    repository.run("dvc push -q")
    return repository


def test_commit_is_there_as_it_was(repository: Project, temporary: Path) -> None:
    """Not the working tree, nor what it holds besides; and the folder is gone afterwards."""
    repository.write("requirements.txt", "b==2\n")
    repository.commit("second")
    repository.write("new", "")
    with reproduce.checkout("HEAD~1") as folder:
        assert (folder / "requirements.txt").read_text() == "a==1\n"
        assert not (folder / "new").exists()
        assert folder.is_relative_to(temporary)
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("name", ["Größe x", "a, b # c = 'd'"])
def test_any_folder_will_do(name: str, tmp_path: Path, enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the project, its remote and temporary files: DVC's configuration in the clone names all three."""
    (tmp_path / name).mkdir()
    project = least_reproduced(tmp_path / name / "project")
    (tmp_path / name / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name / "temporary"))
    enter(project)
    shutil.rmtree(project.path / ".dvc/cache")
    with reproduce.checkout("HEAD") as folder:
        env = reproduce.environment(folder)
        assert set(reproduce.run(folder, env)) == {"train", "evaluate"}
        reproduce.keep(folder, env, push=True)
    project.run("dvc checkout -q && dvc status -q -c")


def test_clone_does_not_tell_where_the_project_is(repository: Project) -> None:
    """Its stages run code that nobody has read."""
    here = str(repository.path).encode()
    with reproduce.checkout("HEAD") as folder:
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert [path for path in files if here in path.read_bytes()] == []


@pytest.mark.parametrize("error", [PerenneError, KeyboardInterrupt])
def test_folder_is_removed_whatever_happens(
    repository: Project,  # noqa: ARG001 -- it is the current folder
    temporary: Path,
    error: type[BaseException],
) -> None:
    """An error inside, or Ctrl-C, leaves nothing behind."""
    with pytest.raises(error), reproduce.checkout("HEAD"):
        raise error
    assert not list(temporary.iterdir())


def test_no_branch_need_have_the_commit(repository: Project) -> None:
    """The merge that CI makes of a pull request is in no branch, and its clone is shallow."""
    repository.write("new", "")
    repository.commit("of no branch")
    commit = repository.out("git rev-parse HEAD").strip()
    repository.run("git reset -q --hard HEAD~1")
    with reproduce.checkout(commit) as folder:
        assert (folder / "new").exists()


def test_shallow_clone_can_be_checked_out(repository: Project, enter: Enter) -> None:
    """Its history ends where it was cut; the commit is whole."""
    repository.commit("second")
    repository.run(f"git clone -q --depth=1 file://{repository.path} ../shallow")
    shallow = Project(repository.path.parent / "shallow")
    shallow.commit("third")
    enter(shallow)
    for rev in ("HEAD", "HEAD~1"):
        with reproduce.checkout(rev) as folder:
            assert (folder / "requirements.txt").exists()


def test_project_may_be_a_folder_of_its_repository(
    repository: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is checked out is that folder, in its repository."""
    repository.run("mkdir below && git mv requirements.txt stages below && mv .dvc below/")
    repository.commit("below")
    monkeypatch.chdir(repository.path / "below")
    with reproduce.checkout("HEAD") as folder:
        assert folder.name == "below"
        assert (folder / "requirements.txt").exists()


def test_git_hook_may_run_it(repository: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git tells its hooks which repository they are of: that is not the clone's."""
    monkeypatch.setenv("GIT_DIR", ".git")
    monkeypatch.setenv("GIT_INDEX_FILE", str(repository.path / ".git/index"))
    before = repository.out("git rev-parse HEAD; cat .git/HEAD; git status --porcelain")
    with reproduce.checkout("HEAD") as folder:
        assert (folder / "requirements.txt").exists()
    assert repository.out("git rev-parse HEAD; cat .git/HEAD; git status --porcelain") == before


def test_commit_without_dvc_is_told(repository: Project) -> None:
    """There is nothing to reproduce in it."""
    repository.run("git rm -rq .dvc")
    repository.commit("no DVC")
    with pytest.raises(PerenneError, match=r"HEAD has no folder \.dvc"), reproduce.checkout("HEAD"):
        pass


@pytest.mark.parametrize("lost", ["../store", ".dvc/cache"])
def test_inputs_come_from_the_cache_or_the_remote(with_input: Project, lost: str) -> None:
    """Either will do; an address beside the project still means the same folder."""
    shutil.rmtree(with_input.path / lost)
    (with_input.path / INPUT).unlink()
    with reproduce.checkout("HEAD") as folder:
        assert (folder / INPUT).read_text() == table(*MONTHS)


def test_remote_may_be_the_users_own(with_input: Project) -> None:
    """What only `.dvc/config.local` says counts, and that it is the default one."""
    with_input.run("git rm -q --cached .dvc/config; mv .dvc/config .dvc/config.local; touch .dvc/config")
    with_input.commit("no remote in Git")
    shutil.rmtree(with_input.path / ".dvc/cache")
    with reproduce.checkout("HEAD") as folder:
        assert (folder / INPUT).read_text() == table(*MONTHS)


def test_lost_input_is_told(with_input: Project) -> None:
    """With its name, and what to do."""
    shutil.rmtree(with_input.path / ".dvc/cache")
    shutil.rmtree(with_input.path.parent / "store")
    with pytest.raises(PerenneError, match=f"dvc push it from where .*{INPUT}"), reproduce.checkout("HEAD"):
        pass


def test_cache_of_the_clone_is_its_own(with_input: Project) -> None:
    """What is made there stays there, even where the user shares one cache between projects."""
    with_input.run("dvc cache dir -q --global ../shared && dvc fetch -q")
    with reproduce.checkout("HEAD") as folder:
        env = reproduce.environment(folder)
        assert reproduce.dvc(folder, env, "cache", "dir").strip() == str(folder / ".dvc/cache")
        assert (folder / INPUT).exists()


def test_clones_own_code_is_run(repository: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the same lock with this interpreter, but never with modules of the working tree."""
    monkeypatch.setenv("PYTHONPATH", str(repository.path))
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    with reproduce.checkout("HEAD") as folder:
        env = reproduce.environment(folder)
        command = ["python", "-c", "import stages, perenne, sys; print(perenne.__file__, sys.prefix)"]
        printed = reproduce.quiet(command, folder, env).split()
        assert printed == [str(folder / "stages/perenne/__init__.py"), sys.prefix]


NEVER = (
    *("GH_TOKEN", "GITHUB_TOKEN", "SIGNING_KEY", "DVC_CONFIG", "LOOP_TOKEN", "A_TOKEN_OF_NEXT_YEAR"),
    *("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_RUNTIME_TOKEN"),
    *("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GIT_CONFIG_VALUE_0"),
    *("AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_KEY", "SSH_AUTH_SOCK", "PIP_INDEX_URL", "LD_PRELOAD"),
)
KEPT = ("HOME", "TZ", "LC_ALL", "HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE", "OMP_NUM_THREADS")


def test_stages_see_only_what_is_allowed(repository: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other variable may hold a secret, or a file that later steps of a job obey."""
    for name in NEVER:
        monkeypatch.setenv(name, "/secret")
    for name in KEPT:
        monkeypatch.setenv(name, "/kept")
    with reproduce.checkout("HEAD") as folder:
        env = reproduce.environment(folder)
        assert {name: env.get(name) for name in (*NEVER, *KEPT)} == {
            **dict.fromkeys(NEVER),
            **dict.fromkeys(KEPT, "/kept"),
        }
        assert "/secret" not in reproduce.quiet(["env"], folder, env)
        assert Path(env["DVC_SITE_CACHE_DIR"]).is_relative_to(folder)
        assert Path(env["TMPDIR"]).is_relative_to(folder)
    assert repository.path == Path.cwd()


def test_storage_and_packages_have_variables_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """While data are pulled, and while the commit's environment is made: no stage runs then."""
    for name in NEVER:
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("UV_PYTHON", "another")
    assert variables.storage().keys() & set(NEVER) == {
        *("AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_KEY", "SSH_AUTH_SOCK")
    }
    assert variables.packages().keys() & {*NEVER, "UV_PYTHON"} == {"PIP_INDEX_URL"}


def test_user_names_what_else_stages_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source may need an address; what is not set is passed over, and nothing but names will do."""
    monkeypatch.setenv("DATABASE_URL", "there")
    assert "DATABASE_URL" not in variables.stages()
    monkeypatch.setenv(variables.MORE, "DATABASE_URL, OTHER")
    assert variables.stages()["DATABASE_URL"] == "there"
    assert "OTHER" not in variables.stages()
    monkeypatch.setenv(variables.MORE, "DATABASE_*")
    with pytest.raises(PerenneError, match=r"PERENNE_STAGE_VARIABLES: 'DATABASE_\*' is not the name"):
        variables.stages()


def test_clone_holds_no_keys_of_a_remote(with_input: Project) -> None:
    """Its inputs are there; where they came from, and with which key, no stage can read."""
    with_input.run("dvc remote add -q --local --default s3 s3://bucket/x")
    with_input.run("dvc remote modify -q --local s3 secret_access_key hush")
    with reproduce.checkout("HEAD") as folder:
        assert (folder / INPUT).exists()
        config = folder / ".dvc/config.local"
        assert "hush" not in config.read_text()
        assert str(with_input.path) not in config.read_text()


def test_settings_of_the_commit_are_not_added_to_a_remote(with_input: Project) -> None:
    """It may name the same remote; and settings that it hides in the local file are removed."""
    with_input.write(".dvc/config.local", "[core]\n    checksum_jobs = 1\n")
    with_input.run("git add -f .dvc/config.local")
    with_input.commit("settings that nobody sees")
    with_input.run("git rm -q --cached .dvc/config.local; rm .dvc/config.local; rm -r .dvc/cache")
    with reproduce.checkout("HEAD") as folder:
        assert (folder / INPUT).read_text() == table(*MONTHS)
        assert "checksum_jobs" not in (folder / ".dvc/config.local").read_text()


HIDDEN = """
import ctypes, os, sys
from pathlib import Path
from perenne.registry import reproduce, variables
if os.geteuid() == 0:  # root reads everything
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as a process is that was never root's
reproduce.shown(["cat", f"/proc/{os.getpid()}/environ"], Path("/"), {"PATH": os.defpath})
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_stage_cannot_read_the_variables_of_its_parent() -> None:
    """Not by its number either: they would hold the secrets that it was not given."""
    done = subprocess.run(
        [sys.executable, "-c", HIDDEN],
        env={"PATH": os.environ["PATH"], "A_TOKEN": "hush"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "hush" not in done.stdout + done.stderr
    assert "Permission denied" in done.stderr


def test_another_lock_has_its_own_environment(repository: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clone's makefile makes it, of this Python, and knows nothing of the environment in use here."""
    repository.write(
        "Makefile", "venv:\n\t@mkdir -p .venv && env > .venv/env && echo $(PYTHON) > .venv/python\n"
    )
    repository.write("requirements.txt", "b==2\n")
    repository.commit("second")
    repository.run("git checkout -q HEAD~1 requirements.txt")
    monkeypatch.setenv("VIRTUAL_ENV", "/the/users/own")
    monkeypatch.setenv("MAKEFLAGS", "n")
    with reproduce.checkout("HEAD") as folder:
        assert reproduce.environment(folder)["PATH"].split(os.pathsep)[0] == str(folder / ".venv/bin")
        assert "VIRTUAL_ENV=" not in (folder / ".venv/env").read_text()
        assert (folder / ".venv/python").read_text().strip() == sys.executable


def test_environment_that_cannot_be_made_is_told(repository: Project) -> None:
    """With the last word of what makes it."""
    repository.write("Makefile", "venv:\n\t@echo no such package; exit 1\n")
    repository.commit("another Makefile")
    repository.write("requirements.txt", "b==2\n")
    with (
        reproduce.checkout("HEAD") as folder,
        pytest.raises(PerenneError, match=r"requirements\.txt of the commit differs, and make venv"),
    ):
        reproduce.environment(folder)


@pytest.mark.parametrize(
    ("stage", "reason"),
    [
        ("echo 'error: params.yaml: C must be positive' >&2; exit 1", "params.yaml: C must be positive"),
        ("python -c 1/0", "ZeroDivisionError: division by zero"),
    ],
)
def test_failing_stage_is_told_in_its_own_words(repository: Project, stage: str, reason: str) -> None:
    """Bad input by the line that says how to mend it, a bug by the last of its traceback."""
    repository.write(
        "dvc.yaml", f"stages:\n  first: {{cmd: echo fine}}\n  train: {{cmd: {stage!r}, deps: [stages]}}\n"
    )
    env = reproduce.environment(repository.path)
    with pytest.raises(PerenneError, match=f"^failed to reproduce 'train': {reason}$"):
        reproduce.run(repository.path, env)


def test_missing_dep_is_told_by_dvc(repository: Project) -> None:
    """What no stage could say."""
    repository.write(
        "dvc.yaml", "stages:\n  first: {cmd: echo fine}\n  train: {cmd: 'true', deps: [rows.csv]}\n"
    )
    with pytest.raises(PerenneError, match=r"train.*rows\.csv"):
        reproduce.run(repository.path, reproduce.environment(repository.path))


INTERRUPTED = """
import signal, sys, tempfile
from pathlib import Path
from perenne.registry import reproduce, variables
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
tempfile.tempdir = sys.argv[1]
with reproduce.checkout("HEAD") as folder:
    busy = "echo $$; (while :; do echo busy > $RANDOM; done) & wait"
    reproduce.shown(["bash", "-c", busy], folder, reproduce.environment(folder))
"""


def test_ctrl_c_ends_what_runs_and_removes_it(repository: Project, temporary: Path) -> None:
    """A stage's own processes too: who still writes would bring the folder back."""
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(temporary)],
        cwd=repository.path,
        env=environment(repository.path) | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        group = int(process.stderr.readline())
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().rstrip().endswith("KeyboardInterrupt")
    assert not list(temporary.iterdir())
    living = [stat.read_text() for stat in Path("/proc").glob("[0-9]*/stat") if stat.exists()]
    fields = [text.rpartition(") ")[2].split() for text in living]
    assert not [state for state, _, of, *_ in fields if int(of) == group and state != "Z"]
