"""Stores of many episodes: more arrays are mapped than a process may usually have files open."""

from __future__ import annotations

import os
import resource

import pytest

from wm_dynamics.errors import UserError
from wm_training import store_manifest
from wm_training.store import Store


@pytest.fixture
def few_files(monkeypatch):
    """Only so few files may be open, until somebody asks for more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = len(os.listdir("/proc/self/fd")) + 20
    monkeypatch.setattr(store_manifest, "OTHER_FILES", few)
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, before[1]))
    yield few
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_of_open_files_is_raised_for_a_store(tmp_path, write_store, few_files):
    store = Store.open(write_store(tmp_path / "store", episodes=30))
    assert len(store.bev) == 30
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == few_files + 30


def test_a_limit_that_cannot_be_raised_is_said(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (64, 64))
    with pytest.raises(UserError, match="name fewer stores"):
        store_manifest.permit_open_files(100)
