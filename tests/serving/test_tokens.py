"""What a token allows."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection

import httpx
import pytest

from perenne.serving.app import NEEDED
from perenne.serving.guard import roles_of
from perenne.serving.settings import ServeSettings, Tokens
from tests.project import Project
from tests.serving.running import BEARER, SHA256, Running, example, serving

ROLES = ("predict", "label", "admin")
SPELLINGS = (
    "{}%0A", "{}%0a", "{}/%0A", "{}%0A/", "{}%0D%0A", "{}%00", "{}%7F", "{}%C2%85", "{}%E2%80%A8", "{}%FF",
    "{}%20", "{}%2F", "{}//", "/{}", "/.{}", "/x/..{}", "{}/.", "{};x", "{}%3Fx", "{}?x", "{}#x", "http://x{}",
)  # fmt: skip


def sha256(token: str) -> str:
    """Return what is configured of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def test_token_allows_what_its_role_says(company: Project) -> None:
    """To predict, to label or to reload; each may read what only reports. One token may allow all."""
    hashes = ", ".join(f'{role}: ["{sha256(role)}"]' for role in ROLES)
    company.edit("tokens: {.*}", f"tokens: {{{hashes}}}")
    with serving(company) as running:
        rows = {"rows": [example(running)]}
        prediction = running.client.post("/v1/predict", json=rows).json()["predictions"][0]
        outcomes = {"labels": [{"id": prediction["id"], "value": 1}]}
        posts = {
            "predict": ("/v1/predict", rows),
            "label": ("/v1/labels", outcomes),
            "admin": ("/admin/reload", {}),
        }
        for role in (*ROLES, None):
            headers = {"Authorization": f"Bearer {role}"} if role else BEARER
            with httpx.Client(base_url=running.client.base_url, headers=headers, timeout=60) as client:
                for needed, (path, content) in posts.items():
                    for route in (path, f"{path}/"):
                        answer = client.post(route, json=content)
                        assert answer.status_code == (200 if role in (needed, None) else 403)
                        if answer.status_code == 403:
                            assert (
                                answer.json()["detail"]
                                == f"this token is for {role}; {path} needs one for {needed}"
                            )
                for path in ("/v1/model", "/metrics", "/docs", "/openapi.json"):
                    assert client.get(path).status_code == 200
                assert "version" in client.get("/readyz").json()


@pytest.fixture(scope="module")
def split(founded: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a service with a token for each role."""
    to = tmp_path_factory.mktemp("split") / "company"
    shutil.copytree(founded.path.parent, to, symlinks=True)
    project = Project(to / "ada")
    hashes = ", ".join(f'{role}: ["{sha256(role)}"]' for role in ROLES)
    project.edit("tokens: {.*}", f"tokens: {{{hashes}}}")
    with serving(project) as running:
        yield running


def posted(running: Running, target: str, role: str) -> int:
    """Return the status of a POST, whose target is sent as it is."""
    url = running.client.base_url
    with closing(HTTPConnection(url.host, url.port)) as connection:
        connection.putrequest("POST", target)
        connection.putheader("Authorization", f"Bearer {role}")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", "2")
        connection.endheaders(b"{}")
        return connection.getresponse().status


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_of_a_path_avoids_its_role(spelling: str, split: Running) -> None:
    """Whatever the path is taken for, a token of another role does not get through."""
    for path, needed in NEEDED.items():
        for role in set(ROLES) - {needed}:
            assert posted(split, spelling.format(path), role) in (400, 403, 404)


def test_path_with_a_control_character_is_none(served: Running) -> None:
    """For no method, and with the token that allows everything."""
    for path in ("/v1/predict%0A", "/v1/model%0A", "/metrics%0A", "/docs%0A", "/%00"):
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
            assert served.client.request(method, path).status_code == 404


@pytest.mark.parametrize("given", [[], [b"Bearer"], [b"Bearer "], [b"bearer "], [b"Basic x"], [b""]])
def test_no_token_has_no_role(given: list[bytes]) -> None:
    """Whatever is configured."""
    headers = [(b"authorization", value) for value in given]
    assert not roles_of({"headers": headers}, {sha256(""): frozenset({"admin"})})


def test_token_may_have_several_roles() -> None:
    """It is listed in each; the one that allows everything keeps doing so."""
    one, two = sha256("one"), sha256("two")
    settings = ServeSettings(
        token_sha256=SHA256, tokens=Tokens(predict=(one, two), label=(two,), admin=(SHA256,))
    )
    assert settings.allowed == {
        SHA256: frozenset(ROLES),
        one: frozenset({"predict"}),
        two: frozenset({"predict", "label"}),
    }


@pytest.mark.parametrize("role", ROLES)
def test_one_token_closes_the_service(role: str) -> None:
    """Where any token is set, requests without one are refused, and other machines may reach the service."""
    settings = ServeSettings(host="0.0.0.0", tokens=Tokens(**{role: (SHA256,)}))  # noqa: S104 -- the test
    assert settings.allowed == {SHA256: frozenset({role})}


FOREIGN = (
    "http://evil.example:8000",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://127.0.0.1@evil.example",
    "http://192.0.2.7",
    "http://[2001:db8::1]",
    "http://[",
    "null",
    "",
)
OWN = ("http://localhost:8000", "http://127.0.0.1", "https://127.8.8.8:1", "http://[::1]:8000")


def test_page_of_another_host_sends_nothing_without_a_token(company: Project) -> None:
    """Though its host's name may have come to mean this machine; what has no page is let in."""
    with serving(company, token=None) as running:
        rows = {"rows": [example(running)]}
        port = running.client.base_url.port
        assert running.client.post("/v1/predict", json=rows).status_code == 200
        for origin in OWN:
            answer = running.client.post("/v1/predict", json=rows, headers={"Origin": origin})
            assert answer.status_code == 200, origin
        for origin in FOREIGN:
            headers = {"Host": f"evil.example:{port}", "Origin": origin}
            for path in NEEDED:
                answer = running.client.post(path, json=rows, headers=headers)
                assert answer.status_code == 403, (origin, path)
                assert "without a token" in answer.json()["detail"]
            assert running.client.get("/v1/model", headers=headers).status_code == 200
        both = [("Origin", OWN[0]), ("Origin", FOREIGN[0])]
        assert running.client.post("/v1/predict", json=rows, headers=both).status_code == 403


def test_token_is_enough_for_a_page_of_another_host(served: Running) -> None:
    """Who knows it may send from anywhere."""
    rows = {"rows": [example(served)]}
    answer = served.client.post("/v1/predict", json=rows, headers={"Origin": FOREIGN[0]})
    assert answer.status_code == 200
