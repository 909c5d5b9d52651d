"""Coloured noise over the knots of action sequences.

Neighbouring knots of white noise cancel out and the vehicle trembles on the spot; with a spectrum
of 1/f^beta whole manoeuvres are sampled (Pinneri et al., "Sample-efficient Cross-Entropy Method for
Real-time Planning", 2020).
"""

from __future__ import annotations

import numpy as np

AMPLITUDES = (0.3, 1.5)  # a sequence is noisy by a factor between these


def colored_noise(rng: np.random.Generator, count: int, length: int, beta: float) -> np.ndarray:
    """(count, length, 2) noise with power spectrum 1/f^beta and varied amplitude per sequence."""
    frequency = np.fft.rfftfreq(length)
    frequency[0] = 1.0 / length
    scale = frequency ** (-beta / 2.0)
    shape = (count, 2, len(frequency))
    spectrum = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * scale
    noise = np.fft.irfft(spectrum, n=length)
    noise /= np.maximum(noise.std(-1, keepdims=True), 1e-6)
    noise *= np.clip(np.abs(rng.standard_normal((count, 2, 1))), *AMPLITUDES)
    return noise.transpose(0, 2, 1)
