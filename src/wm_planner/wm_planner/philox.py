"""The planner's random numbers: each is a function of what it is for, not of those before it.

Philox4x32-10 encrypts a counter by a key. So a number does not depend on the order in which numbers
are asked for, nor on how many threads ask. ``runtime/plan_random.hpp`` computes the same to the
bit: words, uniforms and normals. Nothing but sums, products, quotients and square roots is used,
which every machine rounds alike; that is why the logarithm is a series here.

Sources: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011; Wichura, "Algorithm
AS 241: The percentage points of the normal distribution", Applied Statistics 37 (1988), 477-484.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
WORD = 0xFFFFFFFF

# AS 241, routine PPND16: numerator and denominator, lowest power first. The far tail (below
# 1.4e-11) is left out: no word is as near to 0 or 1.
_CENTRE = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
     1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
     3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
     5.2264952788528545610e3),
)  # fmt: skip
_TAIL = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
     3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
     2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9),
)  # fmt: skip
_LOG_TERMS = 10  # of the series: to 1e-16


@dataclass(frozen=True)
class Draw:
    """Which numbers: equal draws are equal numbers.

    Attributes:
        seed: its lowest 64 bits are the key.
        plan: number of the plan since the last reset.
        iteration: of the search; :data:`PROPOSALS` is none of them.
    """

    seed: int
    plan: int
    iteration: int

    @property
    def words(self) -> tuple[int, int, int]:
        """Seed of 64 bits, plan and iteration of 32."""
        return self.seed & (WORD << 32 | WORD), self.plan & WORD, self.iteration & WORD


PROPOSALS = WORD  # as an iteration: the numbers of what is proposed to the search


def philox(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """(..., 4) counters below 2^32 -> (..., 4) uint32 words."""
    a, b, c, d = (counter[..., i].astype(np.uint64) for i in range(4))
    mask, half = np.uint64(WORD), np.uint64(32)
    first, second = (np.uint64(m) for m in MULTIPLIERS)
    for turn in range(ROUNDS):
        low, high = (np.uint64((k + turn * s) & WORD) for k, s in zip(key, KEY_STEPS, strict=True))
        one, other = first * a, second * c
        a, b, c, d = (
            (other >> half) ^ b ^ low, other & mask, (one >> half) ^ d ^ high, one & mask,
        )  # fmt: skip
    return np.stack([a, b, c, d], -1).astype(np.uint32)


def words(draw: Draw, count: int, length: int) -> np.ndarray:
    """(count, 2, length) uint32: of each candidate and channel, steer and accel, so many words.

    Word i of a channel is word i % 4 of the counter (2 * (i // 4) + channel, candidate, iteration,
    plan).
    """
    blocks = -(-length // 4)
    counter = np.empty((count, 2, blocks, 4), np.uint64)
    counter[..., 0] = 2 * np.arange(blocks) + np.arange(2)[:, None]
    counter[..., 1] = np.arange(count)[:, None, None]
    seed, counter[..., 3], counter[..., 2] = draw.words
    found = philox(counter, (seed & WORD, seed >> 32))
    return found.reshape(count, 2, 4 * blocks)[..., :length]


def uniforms(words: np.ndarray) -> np.ndarray:
    """uint32 words -> evenly spread numbers within (0, 1), exactly (word + 1/2) / 2^32."""
    return (words + 0.5) * 2.0**-32


def normals(words: np.ndarray) -> np.ndarray:
    """uint32 words -> standard normals, the quantiles of their uniforms, to 1e-15."""
    p = uniforms(words)
    off = p - 0.5
    middle = off * _ratio(_CENTRE, 0.180625 - off * off)
    size = np.sqrt(-logarithm(np.minimum(p, 1.0 - p)))
    outer = _ratio(_TAIL, size - 1.6)
    return np.where(np.abs(off) <= 0.425, middle, np.where(off < 0.0, -outer, outer))


def logarithm(x: np.ndarray) -> np.ndarray:
    """Natural logarithm of positive numbers, to 1e-15."""
    mantissa, exponent = np.frexp(x)
    small = mantissa < math.sqrt(0.5)
    mantissa = np.where(small, 2.0 * mantissa, mantissa)
    share = (mantissa - 1.0) / (mantissa + 1.0)
    square = share * share
    series = np.full_like(share, 1.0 / (2 * _LOG_TERMS - 1))
    for i in range(_LOG_TERMS - 2, -1, -1):
        series = series * square + 1.0 / (2 * i + 1)
    return 2.0 * share * series + (exponent - small) * math.log(2.0)


def _ratio(coefficients: tuple[tuple[float, ...], ...], x: np.ndarray) -> np.ndarray:
    above, below = (_polynomial(part, x) for part in coefficients)
    return above / below


def _polynomial(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    """Horner's scheme."""
    total = np.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total
