"""The examples in docstrings are run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import perenne

MODULES = [
    module.name
    for module in pkgutil.walk_packages(perenne.__path__, "perenne.")
    if ".migrations" not in module.name  # alembic's to import
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    """Every example of a module prints what its docstring shows."""
    assert not doctest.testmod(importlib.import_module(name)).failed
