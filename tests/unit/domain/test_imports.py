"""Every module of the domain can be imported on its own, in any order."""

import importlib
import pkgutil

import pytest

import signalbox.domain

MODULES = sorted(module.name for module in pkgutil.walk_packages(signalbox.domain.__path__, "signalbox.domain."))


@pytest.mark.parametrize("name", MODULES)
def test_a_module_can_be_imported(name: str) -> None:
    assert importlib.import_module(name).__name__ == name
