"""NumPy's universal functions, by how many arrays they take before the one they write to."""

from __future__ import annotations

from .known_methods import words

__all__ = ["out_position"]

_ONE = words(
    """
    abs absolute acos acosh arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh
    bitwise_count bitwise_invert bitwise_not cbrt ceil conj conjugate cos cosh deg2rad degrees
    exp exp2 expm1 fabs floor frexp invert isfinite isinf isnan isnat log log10 log1p log2
    logical_not modf negative positive rad2deg radians reciprocal rint sign signbit sin sinh
    spacing sqrt square tan tanh trunc
    """
)
_TWO = words(
    """
    add arctan2 atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor
    copysign divide divmod equal float_power floor_divide fmax fmin fmod gcd greater
    greater_equal heaviside hypot lcm ldexp left_shift less less_equal logaddexp logaddexp2
    logical_and logical_or logical_xor matmul matvec maximum minimum mod multiply nextafter
    not_equal pow power remainder right_shift subtract true_divide vecdot vecmat
    """
)


def out_position(dotted: str) -> int | None:
    """Position of the argument that a call writes to; ``None`` where there is none."""
    package, _, name = dotted.partition(".")
    if package != "numpy":
        return None
    if name.endswith(".at"):
        return 0
    if name in _ONE:
        return 1
    return 2 if name in _TWO else None
