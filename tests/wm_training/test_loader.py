"""What is read ahead is what would have been read, after a resume too; nothing is left running."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest
import torch

from wm_training.loader import Loader
from wm_training.sampler import WindowSampler, make_sampler
from wm_training.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory, write_store) -> Store:
    return Store.open(write_store(tmp_path_factory.mktemp("store"), 4))


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_the_batches_are_those_of_the_sampler(store):
    loader = Loader(WindowSampler(store, 20, 2, seed=2), 3)
    plain = WindowSampler(store, 20, 2, seed=2)
    for _ in range(6):
        assert same(loader.next(), plain.batch(3))
    loader.close()


@pytest.mark.parametrize("kind", ["mixture", "event", "prioritised"])
@pytest.mark.parametrize("ahead", [0, 3])
def test_resume_is_exact(store, kind, ahead):
    def loader(seed: int) -> Loader:
        return Loader(make_sampler(kind, store, 20, 2, seed), 3, ahead, number)

    def number(batch: dict[str, torch.Tensor], index: int) -> dict[str, torch.Tensor]:
        return batch | {"number": torch.tensor(index)}

    def steps(source: Loader, count: int) -> list[dict[str, torch.Tensor]]:
        batches = []
        for _ in range(count):
            batches.append(source.next(progress=0.5))
            source.update(batches[-1]["labels"].abs().mean((1, 2)))
        return batches

    whole, half = loader(1), loader(1)
    expected = steps(whole, 9)
    steps(half, 4)
    state = json.loads(json.dumps(half.state()))
    resumed = loader(7)
    resumed.next()
    resumed.restore(state)
    got = steps(resumed, 5)
    assert all(same(a, b) for a, b in zip(expected[4:], got, strict=True))
    assert [int(batch["number"]) for batch in got] == [4, 5, 6, 7, 8]
    for source in (whole, half, resumed):
        source.close()


def test_a_state_of_before_there_was_a_loader(store):
    old = WindowSampler(store, 20, 2, seed=2)
    old.batch(3)
    loader = Loader(WindowSampler(store, 20, 2, seed=5), 3)
    loader.restore(old.state())
    assert same(loader.next(), old.batch(3))
    loader.close()


def test_reading_is_ahead_bounded_and_elsewhere(store, monkeypatch):
    sampler, threads = WindowSampler(store, 20, 2), []
    plain = sampler.read

    def slow(draw):
        time.sleep(0.05)
        threads.append(threading.current_thread())
        return plain(draw)

    monkeypatch.setattr(sampler, "read", slow)
    loader = Loader(sampler, 2, ahead=2)
    loader.next()
    time.sleep(0.3)
    assert len(threads) == 3  # one given, two ahead
    waited = loader.waited_s
    loader.next()
    loader.next()
    assert loader.waited_s - waited < 0.04  # they were there
    loader.close()
    assert threading.current_thread() not in threads
    assert not any(thread.is_alive() for thread in threads)


def test_an_error_while_reading_reaches_the_trainer(store, monkeypatch):
    sampler = WindowSampler(store, 20, 2)
    monkeypatch.setattr(sampler, "windows", lambda starts: np.load("/nowhere/at/all.npy"))
    loader = Loader(sampler, 2)
    with pytest.raises(FileNotFoundError):
        loader.next()
    loader.close()
    with pytest.raises(ValueError, match="no batch"):
        Loader(sampler, 2).update(torch.ones(2))
