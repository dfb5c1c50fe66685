import itertools
import json

import numpy as np
import pytest
from scipy.stats import wilcoxon

from msrgan.evaluation.statistics import center, gain


def test_center():
    assert center([1, 2, 6]) == {"mean": 3, "median": 2, "n": 3}
    assert center([]) == {"mean": None, "median": None, "n": 0}


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1, 2, 3, 4, 5, 6], 2 / 64),  # of the 64 ways to give six ranks signs, none is more one-sided but its mirror
        ([1, 2, 3, 4, 5, -6], 28 / 64),  # 14 of the subsets of the ranks sum up to 6 at most
        ([-1, -2, -3, -4, -5, 6], 28 / 64),
        ([0] * 6, 1),
    ],
)
def test_p_is_that_of_a_signed_rank_test(differences, p):
    assert gain(differences)["p"] == pytest.approx(p)


def test_p_is_that_of_scipy():
    differences = np.random.default_rng(0).normal(0.2, 1, 80)
    assert gain(differences)["p"] == pytest.approx(wilcoxon(differences).pvalue)
    assert 0.001 < gain(differences)["p"] < 0.5


def test_the_interval_is_that_of_all_resamples():
    differences = [-1.0, 0.5, 2.0, 3.0, 3.5, 7.0]
    means = np.mean(list(itertools.product(differences, repeat=6)), axis=1)
    result = gain(differences)
    assert result["interval"] == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.15)
    assert (result["mean"], result["median"], result["n"]) == (2.5, 2.5, 6)
    assert result == gain(differences)


def test_the_interval_narrows_with_the_root_of_the_number():
    differences = np.random.default_rng(0).normal(3, 2, 900)
    low, high = gain(differences)["interval"]
    assert (low + high) / 2 == pytest.approx(differences.mean(), abs=0.01)
    assert high - low == pytest.approx(2 * 1.96 * differences.std() / 30, rel=0.03)


@pytest.mark.parametrize("value", [0.0, 0.25])
def test_a_constant_gain_has_no_spread(value):
    assert gain([value] * 7)["interval"] == [value, value]


@pytest.mark.parametrize("count", range(7))
def test_fewer_than_six_prove_nothing(count):
    result = gain([0.5] * count)
    assert (result["n"], result["n_groups"]) == (count, count)
    assert (result["p"] is None) == (result["interval"] is None) == (count < 6)
    assert (result["mean"] is None) == (count == 0)
    json.dumps(result, allow_nan=False)


def test_images_of_a_group_count_as_one():
    differences = [1, 3, 10, 4, 5, 6, -3, 7, 8]
    groups = ["a", "a", "b", "c", "c", "c", "d", "e", "f"]
    means = [2, 10, 5, -3, 7, 8]
    result = gain(differences, groups)
    assert result == gain(means) | {"n": 9}
    assert result["n_groups"] == 6
    assert result["mean"] == pytest.approx(29 / 6)
    assert result["median"] == 6
    assert result["p"] == pytest.approx(0.09375)  # -3 has rank 2: {}, {1} and {2} sum up to 2 at most, 2 * 3 / 64


def test_a_thousand_images_of_one_patient_prove_nothing():
    result = gain(np.linspace(1, 2, 1000), ["patient"] * 1000)
    assert result == {"mean": pytest.approx(1.5), "median": pytest.approx(1.5)} | {
        "interval": None,
        "p": None,
        "n": 1000,
        "n_groups": 1,
    }


def test_each_difference_has_a_group():
    with pytest.raises(ValueError):
        gain([1, 2, 3], ["a", "b"])
