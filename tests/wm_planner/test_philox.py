"""The random numbers: published answers, and that they are what they claim to be."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from wm_planner.noise import colored_noise, waves
from wm_planner.ordered import product
from wm_planner.philox import WORD, Draw, logarithm, normals, philox, uniforms, words

# "philox4x32 10" in tests/kat_vectors of Random123: counter, key, answer.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip
DRAW = Draw(7, 3, 1)


def numbers(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_published_answers(counter, key, answer):
    low, high = numbers(key)
    assert philox(np.array(numbers(counter), np.uint64), (low, high)).tolist() == numbers(answer)


def test_words_are_those_of_seed_plan_iteration_candidate_and_channel():
    draw = Draw(0x299F31D0_A4093822, 0x03707344, 0x13198A2E)
    found = words(draw, 4, 11)
    for candidate, channel, i in ((0, 0, 0), (3, 1, 10), (2, 0, 5)):
        counter = [2 * (i // 4) + channel, candidate, draw.iteration, draw.plan]
        block = philox(np.array(counter, np.uint64), (0xA4093822, 0x299F31D0))
        assert found[candidate, channel, i] == block[i % 4]


def test_numbers_do_not_depend_on_how_many_are_asked_for():
    few = words(DRAW, 3, 5)
    np.testing.assert_array_equal(words(DRAW, 40, 17)[:3, :, :5], few)
    for other in (Draw(8, 3, 1), Draw(7, 4, 1), Draw(7, 3, 2), Draw(7 + 2**32, 3, 1)):
        assert (words(other, 3, 5) != few).all()
    np.testing.assert_array_equal(words(Draw(7 + 2**64, 3 + 2**32, 1), 3, 5), few)


def test_normals_are_the_quantiles_of_their_uniforms():
    edges = [0, 1, 2, WORD // 2, WORD // 2 + 1, WORD - 1, WORD]
    tails = [int(0.075 * 2**32) + i for i in (-1, 0, 1)]
    asked = np.concatenate([np.array(edges + tails, np.uint32), words(DRAW, 50, 20).ravel()])
    wanted = [NormalDist().inv_cdf(p) for p in uniforms(asked).tolist()]
    np.testing.assert_allclose(normals(asked), wanted, rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(normals(asked), -normals(WORD - asked))
    assert uniforms(asked).min() > 0.0 and uniforms(asked).max() < 1.0


def test_the_logarithm():
    x = np.concatenate([np.geomspace(1e-11, 1e3, 999), 2.0 ** np.arange(-9, 9), [np.sqrt(0.5)]])
    np.testing.assert_allclose(logarithm(x), np.log(x), rtol=1e-14, atol=1e-16)


def test_normals_are_spread_normally_and_independent():
    found = normals(words(DRAW, 4000, 16))
    assert found.mean() == pytest.approx(0.0, abs=0.01)
    assert found.std() == pytest.approx(1.0, abs=0.01)
    rows = found.reshape(4000, 32)
    off = np.corrcoef(rows.T) - np.eye(32)
    assert np.abs(off).max() < 0.07
    assert np.abs((rows[1:] * rows[:-1]).mean(0)).max() < 0.07


# ------------------------------------------------------------------ coloured noise


@pytest.mark.parametrize("length", [2, 3, 6, 15, 16])
def test_waves_add_up_to_the_inverse_transform(length):
    numbers = normals(words(DRAW, 5, length))
    sines = (length - 1) // 2
    spectrum = numbers[..., : length // 2 + 1].astype(complex)
    spectrum[..., 1 : 1 + sines] += 1j * numbers[..., length // 2 + 1 :]
    frequency = np.fft.rfftfreq(length)
    frequency[0] = 1.0 / length
    wanted = np.fft.irfft(spectrum * frequency**-1.0, n=length)
    np.testing.assert_allclose(product(numbers, waves(length, 2.0)), wanted, atol=1e-12)


def test_colored_noise_is_smooth_and_seeded():
    white, red = (colored_noise(DRAW, 200, 15, beta) for beta in (0.0, 2.0))
    assert white.shape == (200, 15, 2)
    assert np.abs(np.diff(red, axis=1)).mean() < 0.7 * np.abs(np.diff(white, axis=1)).mean()
    np.testing.assert_array_equal(red, colored_noise(DRAW, 200, 15, 2.0))
    assert not np.array_equal(red, colored_noise(Draw(8, 3, 1), 200, 15, 2.0))


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_the_spectrum_falls_with_the_frequency(beta):
    noise = colored_noise(DRAW, 4000, 64, beta)
    power = np.square(np.abs(np.fft.rfft(noise, axis=1))).mean((0, 2))[1:]
    frequency = np.arange(1, 33)
    slope = np.polyfit(np.log(frequency[:-1]), np.log(power[:-1]), 1)[0]
    assert slope == pytest.approx(-beta, abs=0.1)
