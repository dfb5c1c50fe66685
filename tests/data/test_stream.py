import itertools
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf

from msrgan.data import stream


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_deviation_is_that_of_numpy(dtype, monkeypatch):
    channel = (np.random.default_rng(0).uniform(size=(37, 21, 2)) * 200 + 20).astype(dtype)[..., 1]
    assert stream.deviation(channel) == channel.std(dtype=np.float64)
    monkeypatch.setattr(stream, "AT_ONCE", 50)
    assert stream.deviation(channel) == pytest.approx(channel.std(dtype=np.float64), rel=1e-12)
    assert stream.deviation(np.full((9, 30), 12345, dtype if dtype != np.uint8 else np.uint16)) == 0


def test_a_large_channel_is_measured_in_little_memory():
    channel = np.random.default_rng(0).integers(0, 256, (2500, 2500), np.uint8)  # 50 MB of float64
    tracemalloc.start()
    stream.deviation(channel)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 25 * 2**20


def test_every_sample_has_a_seed_of_its_own():
    keys = list(itertools.product((0, 1), (0, 1, 2), (0, 1, 2)))  # seed, pass, image
    seeds = [tuple(stream.sample_seed(tf.constant(key, tf.int64)).numpy()) for key in keys]
    assert len(set(seeds)) == len(keys)
    assert seeds == [tuple(stream.sample_seed(tf.constant(key, tf.int64)).numpy()) for key in keys]
