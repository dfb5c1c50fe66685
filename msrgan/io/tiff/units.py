"""Units of length and of time, as microscopes' programs write them."""

from __future__ import annotations

import math

MICROMETRES = {
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer", "micrometre"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-3),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1e3),
    **dict.fromkeys(("in", "inch", "inches"), 25400.0),
    **{"pm": 1e-6, "Å": 1e-4, "cm": 1e4, "dm": 1e5, "m": 1e6, "km": 1e9, "ft": 304800.0},
}
SECONDS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec"), 1e-3),
    **dict.fromkeys(("us", "µs", "μs"), 1e-6),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **{"ns": 1e-9, "d": 86400.0},
}


def positive(number: object, unit: float | None = 1.0) -> float | None:
    """Return a number times its unit, or None unless it is a finite size above zero."""
    try:
        size = float(number) * float(unit)
    except (TypeError, ValueError, OverflowError):
        return None
    return size if 0 < size < math.inf else None
