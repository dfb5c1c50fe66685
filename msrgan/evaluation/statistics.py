"""Means and medians of scores, and how sure a gain of one method over another is."""

from collections.abc import Hashable, Sequence
from typing import TypedDict

import numpy as np
from scipy.stats import bootstrap, wilcoxon

FEWEST = 6  # Of fewer pairs even a unanimous signed-rank test has p > .05: 2 / 2^5 is .0625.
CONFIDENCE = 0.95
RESAMPLES = 9999


class Center(TypedDict):
    """Mean and median of n finite values; None of none."""

    mean: float | None
    median: float | None
    n: int


class Gain(TypedDict):
    """How large a gain is, and how sure: see `gain`."""

    mean: float | None
    median: float | None
    interval: list[float] | None
    p: float | None
    n: int
    n_groups: int


def center(values: Sequence[float]) -> Center:
    """Average finite values."""
    if not len(values):
        return {"mean": None, "median": None, "n": 0}
    return {"mean": float(np.mean(values)), "median": float(np.median(values)), "n": len(values)}


def gain(differences: Sequence[float], groups: Sequence[Hashable] | None = None) -> Gain:
    """Tell how large a gain is, and how sure: from the paired differences of two methods, image by image.

    Images of one group (a patient, a slide, a well) are not independent, and a hundred of one patient are no hundred
    proofs: what counts is the mean difference of each group.

    Args:
        differences: one of each image, finite.
        groups: of each image; None: each image is independent.

    Returns:
        "mean" and "median" over the groups; "interval": [low, high], the 95 % confidence interval of the mean, of
        percentiles of 9999 bootstrap resamples of the groups (Efron & Tibshirani 1993, ch. 13), always the same ones;
        "p": two-sided, of the Wilcoxon signed-rank test (Biometrics Bulletin 1(6), 1945), where a difference of zero
        counts half as a gain and half as a loss, so that p is 1 where nothing differs; "n" images and "n_groups".
        Of fewer than 6 groups "interval" and "p" are None: they are too few for either.

    Raises:
        ValueError: there are not as many groups as differences.
    """
    values = np.asarray(differences, np.float64)
    if groups is not None:
        values = _group_means(values, groups)
    enough = len(values) >= FEWEST
    return center(values) | {
        "interval": _interval(values) if enough else None,
        "p": float(wilcoxon(values, zero_method="zsplit").pvalue) if enough else None,
        "n": len(differences),
        "n_groups": len(values),
    }


def _group_means(values, groups):
    members: dict[Hashable, list[float]] = {}
    for value, group in zip(values, groups, strict=True):
        members.setdefault(group, []).append(value)
    return np.array([np.mean(member) for member in members.values()])


def _interval(values):
    resampled = bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=100,  # in memory at once: there may be many images
        confidence_level=CONFIDENCE,
        method="percentile",
        random_state=np.random.default_rng(0),
    )
    return [float(end) for end in resampled.confidence_interval]
