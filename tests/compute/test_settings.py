"""The section `compute`, and the variable that counts more."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.common.errors import PerenneError
from perenne.compute import settings
from perenne.compute.settings import Compute
from perenne.registry import variables

TLS = "tls://10.0.0.1:8786"


def written(folder: Path, text: str) -> None:
    """Write a params.yaml with this section."""
    (folder / "params.yaml").write_text(f"compute: {text}\n", encoding="utf-8")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(settings.VARIABLE, raising=False)


@pytest.mark.parametrize("text", ["", "{}", "{engine: local}", f"{{scheduler: '{TLS}'}}"])
def test_work_is_done_here_unless_the_params_say_otherwise(text: str, tmp_path: Path) -> None:
    """A project that knows nothing of the section is none with an error."""
    written(tmp_path, text)
    found = settings.load()
    assert (found.engine, found.workers) == ("local", 1)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "tcp://localhost:1", "tcp://[::1]:8786", TLS])
def test_safe_addresses(address: str) -> None:
    """Of this machine, or encrypted."""
    assert Compute(engine="dask", scheduler=address).scheduler == address


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{engine: spark}", "compute.engine: found 'spark', must be 'local' or 'dask'"),
        ("{engine: dask}", "scheduler: missing; the engine dask needs an address such as tls://"),
        ("{workers: 0}", "compute.workers: found 0"),
        ("{scheduler: 'tcp://10.0.0.1:8786'}", "must begin with tls://: who can speak to a scheduler"),
        ("{scheduler: 'tcp://127.0.0.1.evil.org:8786'}", "must begin with tls://"),
        ("{scheduler: '10.0.0.1:8786'}", "must be an address such as tls://10.0.0.1:8786"),
        ("{scheduler: 'tls://:8786'}", "must be an address such as"),
        ("{worker: 2}", "compute.worker: unknown key; did you mean 'workers'?"),
        ("[1]", "compute: expected a mapping, found [1]"),
    ],
)
def test_wrong_sections_are_named(text: str, reason: str, tmp_path: Path) -> None:
    """The file, the key, the value, and what would do."""
    written(tmp_path, text)
    with pytest.raises(PerenneError) as caught:
        settings.load()
    assert str(caught.value).startswith("params.yaml: compute")
    assert reason in str(caught.value)


def test_the_variable_counts_more_than_the_params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is the same on every machine; where a cluster is, is not."""
    written(tmp_path, f"{{engine: dask, scheduler: '{TLS}', workers: 3}}")
    monkeypatch.setenv(settings.VARIABLE, "local")
    assert (settings.load().engine, settings.load().workers) == ("local", 3)
    monkeypatch.setenv(settings.VARIABLE, "tcp://127.0.0.1:1")
    assert settings.load() == Compute(engine="dask", scheduler="tcp://127.0.0.1:1", workers=3)
    monkeypatch.setenv(settings.VARIABLE, "tcp://10.0.0.1:1")
    with pytest.raises(PerenneError, match=r"^PERENNE_COMPUTE: scheduler: found .* must begin with tls://"):
        settings.load()


def test_a_clone_works_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a commit under review says of a scheduler does not decide whom a reviewer's machine speaks to."""
    written(tmp_path, f"{{engine: dask, scheduler: '{TLS}'}}")
    monkeypatch.setenv(settings.VARIABLE, TLS)
    monkeypatch.setenv(settings.VARIABLE, variables.stages()[settings.VARIABLE])
    assert settings.load().engine == "local"
