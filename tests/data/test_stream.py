"""The stream of samples: its order and position; the deviation of a channel."""

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


def keys(count=7, taken=21, **arguments):
    samples = stream.stream(tf.data.Dataset.range(count), **{"seed": 4} | arguments)
    return [(*map(int, key), int(example)) for key, example in samples.take(taken).as_numpy_iterator()]


@pytest.mark.parametrize("window", [None, 3])
def test_every_pass_has_every_image_once_in_an_order_of_its_own(window):
    taken = keys(window=window)
    assert {key[0] for key in taken} == {4}
    assert [key[1] for key in taken] == [0] * 7 + [1] * 7 + [2] * 7
    assert all(index == example for _, _, index, example in taken)
    passes = [tuple(key[2] for key in taken[start : start + 7]) for start in (0, 7, 14)]
    assert all(sorted(order) == list(range(7)) for order in passes)
    assert len(set(passes)) == 3
    assert tuple(range(7)) not in passes
    assert keys(seed=5) != taken


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("start", [1, 6, 7, 17])
def test_a_start_skips_so_many_samples(start, window):
    assert keys(start=start, window=window, taken=10) == keys(window=window, taken=start + 10)[start:]


def test_a_stream_of_unknown_length_is_counted():
    unknown = tf.data.Dataset.range(7).filter(lambda k: k != 3)
    taken = [int(k) for _, k in stream.stream(unknown, seed=0, start=7).take(5).as_numpy_iterator()]
    whole = [int(k) for _, k in stream.stream(unknown, seed=0).take(12).as_numpy_iterator()]
    assert sorted(whole[:6]) == sorted(whole[6:]) == [0, 1, 2, 4, 5, 6]
    assert taken == whole[7:]


def test_every_sample_has_a_seed_of_its_own():
    keys = list(itertools.product((0, 1), (0, 1, 2), (0, 1, 2)))  # seed, pass, image
    seeds = [tuple(stream.sample_seed(tf.constant(key, tf.int64)).numpy()) for key in keys]
    assert len(set(seeds)) == len(keys)
    assert seeds == [tuple(stream.sample_seed(tf.constant(key, tf.int64)).numpy()) for key in keys]
