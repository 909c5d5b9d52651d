"""Coloured noise over the knots of action sequences.

Neighbouring knots of white noise cancel out and the vehicle trembles on the spot; with a spectrum
of 1/f^beta whole manoeuvres are sampled (Pinneri et al., "Sample-efficient Cross-Entropy Method for
Real-time Planning", 2020). The random numbers: :mod:`wm_planner.philox`. All sums are taken in
order, as ``runtime/plan_sample.cpp`` takes them, so that both make the same noise to the bit.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from wm_planner.ordered import product, total
from wm_planner.philox import Draw, normals, words

AMPLITUDES = (0.3, 1.5)  # a sequence is noisy by a factor between these
LEAST_STD = 1e-6  # of a sequence before it is scaled to 1


@lru_cache(maxsize=8)
def waves(length: int, beta: float) -> np.ndarray:
    """(length, length) waves over the knots: sums of them, by normals, have spectrum 1/f^beta.

    First a constant and the cosines, then the sines; what an inverse FFT of that spectrum adds up.
    """
    frequency = np.fft.rfftfreq(length)
    turns = 2.0 * np.pi * np.outer(frequency, np.arange(length))
    both = (frequency > 0.0) & (frequency < 0.5)  # those that have a sine, too
    frequency[0] = 1.0 / length
    scale = frequency ** (-beta / 2.0) * np.where(both, 2.0, 1.0) / length
    cosines, sines = scale[:, None] * np.cos(turns), -scale[:, None] * np.sin(turns)
    made = np.concatenate([cosines, sines[both]])
    made.flags.writeable = False  # there is one for all callers
    return made


def colored_noise(draw: Draw, count: int, length: int, beta: float) -> np.ndarray:
    """(count, length, 2) noise with power spectrum 1/f^beta and varied amplitude per sequence.

    A sequence takes the first ``length`` normals of its words for the waves, one for the amplitude.
    """
    numbers = normals(words(draw, count, length + 1))
    noise = product(numbers[..., :length], waves(length, beta))
    off = noise - total(noise)[..., None] / length
    std = np.sqrt(total(off * off)[..., None] / length)
    noise /= np.maximum(std, LEAST_STD)
    noise *= np.clip(np.abs(numbers[..., length:]), *AMPLITUDES)
    return noise.transpose(0, 2, 1)
