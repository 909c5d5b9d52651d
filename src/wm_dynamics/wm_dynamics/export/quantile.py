"""Quantiles of the standard normal in a graph: neither ONNX nor TensorRT has an inverse erf."""

from __future__ import annotations

from collections.abc import Sequence

from wm_dynamics.export.graph import Graph

LEAST = 1e-6  # a uniform nearer to 0 or 1 counts as this far, or the quantile is infinite
# AS 241, routine PPND7 (seven figures): numerator and denominator, lowest power first.
_CENTRE = ((3.3871327179, 50.434271938, 159.29113202, 59.109374720),
           (1.0, 17.895169469, 78.757757664, 67.187563600))  # fmt: skip
_TAIL = ((1.4234372777, 2.7568153900, 1.3067284816, 0.17023821103),
         (1.0, 0.73700164250, 0.12021132975))  # fmt: skip


def ndtri(g: Graph, uniforms: str) -> str:
    """Uniforms in [0, 1) -> standard normals, float32.

    Wichura, "Algorithm AS 241: The percentage points of the normal distribution", Applied
    Statistics 37 (1988), 477-484. The far tail (below 1.4e-11) is left out: uniforms are clipped.
    """

    def number(value: float) -> str:
        return g.constant(value, name=f"number_{value!r}")

    p = g.op("Clip", uniforms, number(LEAST), number(1.0 - LEAST))
    off = g.op("Sub", p, number(0.5))
    centre = g.op("Sub", number(0.180625), g.op("Mul", off, off))
    middle = g.op("Mul", off, _ratio(g, _CENTRE, centre))
    least = g.op("Min", p, g.op("Sub", number(1.0), p))
    # Inside, the tail's formula is not used; it must only stay finite there.
    tail = g.op("Sqrt", g.op("Neg", g.op("Log", g.op("Min", least, number(0.4)))))
    outer = g.op("Mul", g.op("Sign", off), _ratio(g, _TAIL, g.op("Sub", tail, number(1.6))))
    inside = g.op("LessOrEqual", g.op("Abs", off), number(0.425))
    return g.op("Where", inside, middle, outer)


def _ratio(g: Graph, coefficients: Sequence[Sequence[float]], x: str) -> str:
    above, below = (_polynomial(g, part, x) for part in coefficients)
    return g.op("Div", above, below)


def _polynomial(g: Graph, coefficients: Sequence[float], x: str) -> str:
    """Horner's scheme."""
    total = g.constant(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = g.op("Add", g.op("Mul", total, x), g.constant(c))
    return total
