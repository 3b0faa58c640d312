"""What a token allows."""

from __future__ import annotations

import hashlib

import httpx
import pytest

from perenne.serving.settings import ServeSettings, Tokens
from tests.project import Project
from tests.serving.running import BEARER, SHA256, example, serving

ROLES = ("predict", "label", "admin")


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
