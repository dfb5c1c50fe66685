import itertools
import threading

import numpy as np
import pytest

from msrgan.intensity import PERCENTILE, RANGE
from msrgan.io.image import Image
from msrgan.upscaling import plan, stream, upscale
from msrgan.upscaling.stream import ahead, bands


def stack(shape, dtype=np.float32, seed=0):
    return (np.random.default_rng(seed).random(shape) * 200).astype(dtype)


def assembled(model, image, **options):
    """Put bands together; they come plane by plane, each from top to bottom, at full width."""
    sizes = image.sizes
    shape = tuple(n * (4 if axis in "YX" else 1) for axis, n in sizes.items())
    out, order = np.empty(shape, image.dtype), []
    for band in bands(model, image, **options):
        height, width = band.pixels.shape[:2]
        assert width == 4 * sizes["X"]
        assert band.pixels.dtype == image.dtype.newbyteorder("=")
        order += [(band.index, row) for row in range(band.top, band.top + height)]
        out[(*band.index, slice(band.top, band.top + height))] = band.pixels
    assert order == [(index, row) for index in image.indices() for row in range(4 * sizes["Y"])]
    return out


class Lazy:
    """Pixels that tell how often each was read, and how many at once at most."""

    def __init__(self, pixels):
        self._pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype
        self.reads, self.largest, self.threads = np.zeros(pixels.shape, int), 0, set()

    def __getitem__(self, key):
        self.reads[key] += 1
        self.largest = max(self.largest, self._pixels[key].size)
        self.threads.add(threading.current_thread())
        return self._pixels[key]


@pytest.fixture
def nothing_small(monkeypatch):
    """Even small images are read row by row."""
    monkeypatch.setattr(plan, "SMALL", 0)


# With tiles of 8 pixels, and context of 3 on both sides: less than a tile, one tile, one pixel more, primes, lines.
SIZES = [(1, 1), (3, 7), (9, 8), (14, 15), (13, 31), (17, 16), (1, 40)]
CORRECTIONS = [{}, {"clip": True}, {"consistent": True}, {"clip": True, "consistent": True}]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_tiled_equals_untiled(tiny_upscaler, size, channels):
    model, image = tiny_upscaler(channels, degradation="area"), Image(stack((2, 3, 2, *size)), "TCZYX")
    wholes = []
    for options in CORRECTIONS:
        whole = upscale(model, image.pixels, axes="TCZYX", **options)
        for batch in (1, 3):
            tiled = assembled(model, image, tile=8, batch=batch, **options)
            np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-5 * 200)
        wholes.append(whole)
    if size != (1, 1):
        assert np.abs(wholes[0] - image.pixels.repeat(4, 3).repeat(4, 4)).max() > 10
        assert all(np.abs(a - b).max() > 1 for a, b in itertools.combinations(wholes, 2))


@pytest.mark.parametrize("axes", ["TCZYX", "TZCYX", "CTZYX"])
@pytest.mark.parametrize("channels", [1, 3])
def test_planes_come_in_the_order_of_the_file(tiny_upscaler, axes, channels, monkeypatch):
    monkeypatch.setattr(stream, "BAND_BYTES", 1000)  # spools go to the disk
    model, pixels = tiny_upscaler(channels), stack((2, 3, 2, 17, 13), np.uint16)
    whole = upscale(model, pixels, axes="TCZYX")
    order = ["TCZYX".index(axis) for axis in axes]
    np.testing.assert_array_equal(assembled(model, Image(pixels.transpose(order), axes)), whole.transpose(order))


@pytest.mark.parametrize("dtype", [">i2", ">u4", ">f4", ">f8"])
@pytest.mark.parametrize("normalization", [PERCENTILE, RANGE])
def test_any_byte_order_gives_the_same(tiny_upscaler, dtype, normalization):
    model, pixels = tiny_upscaler(3), stack((3, 2, 9, 7), dtype)
    model.normalization = normalization
    expected = upscale(model, pixels.astype(pixels.dtype.newbyteorder("=")), axes="CZYX", clip=True)
    np.testing.assert_array_equal(assembled(model, Image(pixels, "CZYX"), clip=True), expected)
    np.testing.assert_array_equal(upscale(model, pixels, axes="CZYX", clip=True), expected)
    assert np.ptp(expected) > 100


def test_a_stack_is_enlarged_plane_by_plane_in_one_range(tiny_upscaler):
    model, pixels = tiny_upscaler(), stack((3, 20, 12))
    pixels[1] *= 3
    low, high = np.percentile(pixels, (0.1, 99.9))
    expected = [model((plane[None, ..., None] - low) / (high - low))[0, ..., 0] for plane in pixels]
    out = assembled(model, Image(pixels, "ZYX"))
    np.testing.assert_allclose(out, np.stack(expected) * (high - low) + low, rtol=0, atol=1e-5 * (high - low))
    alone = assembled(model, Image(pixels, "ZYX"), normalize_over="plane")
    np.testing.assert_array_equal(alone[1], upscale(model, pixels[1]))
    assert np.abs(alone - out).max() > 1


def test_rgb_for_models_of_one_and_of_three_channels(tiny_upscaler):
    pixels = stack((2, 19, 23, 3), np.uint8)
    for channels in (1, 3):
        model = tiny_upscaler(channels)
        out = assembled(model, Image(pixels, "ZYXS"), tile=8).astype(int)
        assert np.abs(out - upscale(model, pixels, axes="ZYXC")).max() <= 1


@pytest.mark.parametrize(
    ("axes", "shape", "channels", "message"),
    [
        ("CYX", (2, 8, 8), 3, "3 channels.*Received: 2"),
        ("YXS", (8, 8, 3), 2, "2 channels.*Received: YXS of 1 RGB channels"),
        ("CYXS", (2, 8, 8, 3), 3, "Received: CYXS of 2 RGB channels"),
        ("ZYX", (0, 8, 8), 1, "has pixels. Received: ZYX .0, 8, 8."),
    ],
)
def test_channels_that_do_not_fit_are_refused_at_once(tiny_upscaler, axes, shape, channels, message):
    with pytest.raises(ValueError, match=message):
        bands(tiny_upscaler(channels), Image(np.zeros(shape, np.uint8), axes))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "batch must be a whole number of 1 or more. Received: batch=0"),
        ({"nan": "keep"}, "`nan` is one of refuse, zero. Received: keep"),
        ({"normalize_over": "time"}, "`normalize_over` is one of stack, plane. Received: time"),
        ({"consistent": True, "overlap": 5}, "overlap must be 18 or more, the reach of the model and of `consistent`"),
    ],
)
def test_wrong_options_are_refused_at_once(tiny_upscaler, options, message):
    with pytest.raises(ValueError, match=message):
        bands(tiny_upscaler(), Image(np.zeros((8, 8), np.uint8), "YX"), **options)


def test_batches_of_tiles_change_nothing(tiny_upscaler):
    model, image = tiny_upscaler(), Image(stack((2, 30, 50)), "ZYX")
    one = assembled(model, image, tile=8)
    np.testing.assert_allclose(assembled(model, image, tile=8, batch=4), one, atol=1e-5 * 200)


# Reading


def test_pixels_are_read_row_by_row_and_twice(tiny_upscaler, nothing_small):
    pixels = stack((2, 90, 33), np.uint16)
    lazy = Lazy(pixels)
    out = assembled(tiny_upscaler(), Image(lazy, "ZYX"), tile=8)
    np.testing.assert_array_equal(out, assembled(tiny_upscaler(), Image(pixels, "ZYX"), tile=8))
    assert (lazy.reads == 2).all()
    assert threading.current_thread() not in lazy.threads


def test_rows_are_not_read_far_ahead(tiny_upscaler, nothing_small):
    lazy = Lazy(stack((400, 12), np.uint8))
    taken = bands(tiny_upscaler(), Image(lazy, "YX"), tile=8)
    next(taken)
    # Waiting are: a band here, 8 and one more beyond, rows of 14 for one and for the next, and one read ahead.
    assert (lazy.reads == 2).any(axis=1).sum() <= 14 + 13 * 8
    taken.close()
    assert (lazy.reads[200:] == 1).all()


def test_a_small_image_is_read_once(tiny_upscaler):
    lazy = Lazy(stack((2, 40, 33)))
    assembled(tiny_upscaler(), Image(lazy, "ZYX"), tile=8)
    assert (lazy.reads == 1).all()


def test_tiles_of_a_wide_image_are_lower_and_longer(tiny_upscaler, monkeypatch):
    monkeypatch.setattr(plan, "BAND", 16 * 8 * 256)
    monkeypatch.setattr(plan, "LOWEST", 4)
    pixels = stack((50, 256), np.uint8)
    out = [band.pixels for band in bands(tiny_upscaler(), Image(pixels, "YX"), tile=32)]
    assert max(len(rows) for rows in out[1:-1]) <= 4 * 8
    difference = np.concatenate(out).astype(int) - upscale(tiny_upscaler(), pixels, tile=1000)
    assert np.abs(difference).max() <= 1


def test_an_error_of_the_file_reaches_who_takes_the_bands(tiny_upscaler, nothing_small):
    class Damaged(Lazy):
        def __getitem__(self, key):
            if self.reads[-1].max() and key[0].stop == self.shape[0]:
                raise OSError("the file is damaged there")
            return super().__getitem__(key)

    taken = bands(tiny_upscaler(), Image(Damaged(stack((60, 20), np.uint8)), "YX"), tile=8)
    with pytest.raises(OSError, match="damaged there"):
        list(taken)


# Threads and progress


@pytest.mark.parametrize("channels", [1, 3])
def test_progress_counts_tiles(tiny_upscaler, channels):
    calls, threads = [], set()

    def progress(done, total):
        calls.append((done, total))
        threads.add(threading.current_thread())

    image = Image(stack((3, 30, 50), np.uint8), "CYX")
    list(bands(tiny_upscaler(channels), image, tile=8, progress=progress))
    tiles = 3 * 6 * (3 if channels == 1 else 1)
    assert calls == [(k + 1, tiles) for k in range(tiles)]
    assert threads == {threading.current_thread()}
    calls.clear()
    upscale(tiny_upscaler(channels), image.pixels, axes="CYX", tile=8, batch=4, progress=progress)
    assert [done for done, _ in calls[:3]] == [4, 6, 10]
    assert calls[-1] == (tiles, tiles)


def test_threads_end_with_the_bands(tiny_upscaler):
    before = threading.active_count()
    taken = bands(tiny_upscaler(), Image(stack((200, 20), np.uint8), "YX"), tile=8)
    next(taken)
    assert threading.active_count() > before
    taken.close()
    assert threading.active_count() == before


def test_a_generator_runs_ahead_by_a_few_items_in_order():
    made, distances = [], []

    def items():
        for k in range(50):
            made.append(k)
            yield k

    taken = []
    for k in ahead(items(), 3):
        taken.append(k)
        distances.append(len(made) - len(taken))
    assert taken == list(range(50))
    assert max(distances) <= 4


# Planes that are all of one value


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_even_plane_passes_unharmed(tiny_upscaler, dtype, channels):
    pixels = stack((3, 20, 12), dtype)
    pixels[1] = 0.1 if np.dtype(dtype).kind == "f" else 7
    for axes in ("CYX", "TYX"):
        out = assembled(tiny_upscaler(channels), Image(pixels, axes), tile=8)
        assert (out[1] == pixels[1, 0, 0]).all()
        assert np.ptp(out[0]) > 10
