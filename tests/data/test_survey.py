import numpy as np
import pytest
import tensorflow as tf
from conftest import image_dataset, spots

from msrgan.data.pairs import sr_pairs
from msrgan.data.stream import Part, samples
from msrgan.data.survey import check_patch, common_channels, shuffle_window, survey
from msrgan.degradation.kernels import area
from msrgan.intensity import RANGE


def address(example):
    """Tell where the pixels of an image lie in memory."""
    return np.asarray(memoryview(example["image"])).__array_interface__["data"][0]


def test_survey_counts_and_hashes():
    images = [spots(1, size=20), spots(2, size=30), spots(1, size=20)]
    known = survey(image_dataset(images))
    assert (len(known.ids), known.channels, known.smallest) == (3, 3, (20, 20, "image0"))
    assert known.nbytes == 2 * 20 * 20 * 3 + 30 * 30 * 3
    assert known.hashes[0] == known.hashes[2] != known.hashes[1]
    assert int(known.images.cardinality()) == 3
    assert known.fingerprint == survey(image_dataset(images[::-1])).fingerprint


def test_survey_mixes_grey_with_colour_only():
    assert survey(image_dataset([spots(1, channels=1), spots(2)])).channels == 3
    assert common_channels(survey(image_dataset([spots(1, channels=1)])), survey(image_dataset([spots(2)]))) == 3
    with pytest.raises(ValueError, match="a.tif has 1, b.tif has 4"):
        survey(image_dataset([spots(1, channels=1), spots(2, channels=4)], names=["a.tif", "b.tif"]))


def test_small_images_are_named():
    with pytest.raises(ValueError, match="Received: image0 of 48x48. Remove it or use a `patch_size` of 48"):
        check_patch(survey(image_dataset([spots(1)])), 96)


def decoded(count=6, size=10, keys=()):
    """Return a dataset whose images are made when they are read, and the list of the numbers of these."""
    reads = []

    def decode(k):
        reads.append(int(k))
        return spots(int(k), size=size + int(k))

    def example(k):
        image = tf.ensure_shape(tf.numpy_function(decode, [k], tf.uint8, stateful=False), (None, None, 3))
        return {"id": tf.strings.as_string(k), "image": image, "label": k} | {key: image[::2, ::2] for key in keys}

    return tf.data.Dataset.range(count).map(example, num_parallel_calls=tf.data.AUTOTUNE), reads


def test_images_that_fit_into_the_cache_are_decoded_once():
    images, reads = decoded(keys=["lr", "mask"])
    known = survey(images, cache_bytes=10**6)
    assert sorted(reads) == [0, 1, 2, 3, 4, 5]
    assert set(known.images.element_spec) == {"id", "image", "label", "lr"}
    kept = list(known.images.as_numpy_iterator())
    assert [example["id"].decode() for example in kept] == known.ids == ["0", "1", "2", "3", "4", "5"]
    for k, example in enumerate(kept):
        assert example["label"] == k
        np.testing.assert_array_equal(example["image"], spots(k, size=10 + k))
        np.testing.assert_array_equal(example["lr"], spots(k, size=10 + k)[::2, ::2])
    settings = {"patch_size": 8, "batch_size": 2, "degradation": area, "seed": 0, "scale": 2}
    for part in (Part(), Part(start=4, window=2)):
        for _ in sr_pairs(known.images, **settings, part=part).take(8):
            pass
    assert len(reads) == 6


def test_images_from_the_cache_make_the_same_pairs():
    images, _ = decoded()
    settings = {"patch_size": 8, "batch_size": 2, "degradation": area, "seed": 0, "scale": 2}
    cached, read = (
        list(sr_pairs(survey(images, cache_bytes=size).images, **settings).take(6).as_numpy_iterator())
        for size in (10**6, 0)
    )
    for (lr, hr), (expected_lr, expected_hr) in zip(cached, read, strict=True):
        np.testing.assert_array_equal(lr, expected_lr)
        np.testing.assert_array_equal(hr, expected_hr)


def test_images_that_do_not_fit_are_surveyed_by_one_reading_and_not_kept():
    images, reads = decoded()
    size = sum(3 * (10 + k) ** 2 for k in range(6))
    known = survey(images, cache_bytes=size - 1)
    assert sorted(reads) == [0, 1, 2, 3, 4, 5]
    assert sum(1 for _ in known.images) == 6
    assert len(reads) == 12
    assert known.nbytes == size
    assert shuffle_window(known, size - 1) == 5


def test_the_stream_holds_no_second_copy_of_images_in_memory():
    known = survey(decoded(size=100)[0], cache_bytes=10**6)
    stream = samples(known.images, RANGE, seed=0).take(12)
    kept = {address(example) for example in known.images}
    assert len(kept) == 6
    assert {address(example) for _, example in stream} == kept


def test_images_over_the_limit_are_shuffled_in_a_window():
    known = survey(image_dataset([spots(k, size=10) for k in range(8)]))
    assert shuffle_window(known, 8 * 300) is None
    assert shuffle_window(known, 4 * 300) == 4
    assert shuffle_window(known, 0) == 1


def test_a_survey_leaves_the_allocator_of_the_process_alone():
    known = survey(decoded()[0], cache_bytes=10**6)
    graph = tf.raw_ops.DatasetToGraphV2(input_dataset=known.images._variant_tensor).numpy()
    assert b"CacheDataset" in graph
    assert b"GeneratorDataset" not in graph  # it lowers M_MMAP_THRESHOLD for good


@pytest.mark.parametrize("shape", [(8, 40), (40, 8)])
def test_the_smallest_image_is_that_of_the_shortest_side(shape):
    images = [np.zeros((20, 30, 1), np.uint8), np.zeros((*shape, 1), np.uint8), np.zeros((10, 10, 1), np.uint8)]
    known = survey(image_dataset(images))
    assert known.smallest == (*shape, "image1")
    check_patch(known, 8)
    with pytest.raises(ValueError, match=f"image1 of {shape[0]}x{shape[1]}. Remove it or use a `patch_size` of 8"):
        check_patch(known, 9)
