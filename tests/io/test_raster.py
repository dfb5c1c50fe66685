import cv2
import numpy as np
import pytest
from PIL import Image

from msrgan import io
from msrgan.io import raster


@pytest.fixture
def colour():
    return np.random.default_rng(7).integers(0, 256, (20, 31, 3), dtype=np.uint8)


def test_pictures_are_grey_or_rgb_by_their_header(tmp_path, colour):
    equal = np.dstack([colour[..., 0]] * 3)
    images = {
        "rgb.png": (Image.fromarray(colour), "YXS", colour),
        "equal.png": (Image.fromarray(equal), "YXS", equal),
        "la.png": (Image.fromarray(np.dstack([colour[..., 0]] * 2), "LA"), "YX", colour[..., 0]),
        "grey.jpg": (Image.fromarray(np.full((9, 8), 77, np.uint8)), "YX", np.full((9, 8), 77)),
        "grey.gif": (Image.fromarray(colour[..., 0]), "YX", colour[..., 0]),
        "grey.bmp": (Image.fromarray(colour[..., 0]), "YX", colour[..., 0]),
    }
    for name, (picture, axes, expected) in images.items():
        picture.save(tmp_path / name)
        with raster.read(tmp_path / name) as image:
            assert (image.axes, image.source, image.levels) == (axes, tmp_path / name, (expected.shape[:2],))
            np.testing.assert_array_equal(image.read((), slice(2, 7)), expected[2:7])


@pytest.mark.parametrize("kind", ["gif", "webp", "webp lossless", "webp alpha"])
def test_gif_and_webp_are_read_or_are_an_error(tmp_path, kind):
    rows, columns = np.mgrid[:40, :37]
    colour = np.dstack([rows * 6, columns * 6, rows + columns]).astype(np.uint8)
    form, path = kind.split()[0], tmp_path / f"a.{kind.split()[0]}"
    picture = Image.fromarray(colour)
    if kind == "gif":
        picture = picture.quantize(64)
        picture.save(path, save_all=True, append_images=[picture.rotate(180)])
        expected = np.asarray(picture.convert("RGB"))
    else:
        alpha = np.full((40, 37, 1), 200, np.uint8)
        picture = Image.fromarray(np.dstack([colour, alpha])) if "alpha" in kind else picture
        picture.save(path, lossless=kind != "webp")
        expected = colour
    with raster.read(path) as image:
        assert (image.axes, image.format) == ("YXS", form)
        assert np.abs(image.read().astype(int) - expected).max() <= (40 if kind == "webp" else 0)
        whole = image.read()
    with pytest.raises(io.UnreadableImageError, match="`max_pixels` pixels, 1479. Received: 40 x 37"):
        raster.read(path, max_pixels=1479)
    data = path.read_bytes()
    errors = 0
    for length in [len(data) * k // 10 for k in range(10)] + [len(data) - 1]:
        path.write_bytes(data[:length])
        try:
            with raster.read(path) as image:
                np.testing.assert_array_equal(image.read(), whole)
        except io.UnreadableImageError:
            errors += 1
    assert errors >= 5


def test_a_header_that_claims_too_much_is_refused_before_it_is_decoded(tmp_path, colour, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    for name in ("a.png", "a.jpg", "a.bmp"):
        Image.fromarray(colour).save(tmp_path / name)
        with pytest.raises(io.UnreadableImageError, match=rf"{name}: .* pixels, 619. Received: 20 x 31"):
            raster.read(tmp_path / name, max_pixels=619)
        with pytest.raises(ValueError, match="`level` is 0"):
            raster.read(tmp_path / name, level=1)
