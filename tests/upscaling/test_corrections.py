import numpy as np
import pytest
from PIL import Image as Pillow

from msrgan.degradation import make
from msrgan.upscaling import upscale
from msrgan.upscaling.corrections import Consistency

LINEAR = ["area", "bicubic", "thesis", "gaussian", "gaussian:sigma=0.7"]


def binned(image, scale):
    """The mean of blocks."""
    height, width = (n // scale for n in image.shape[:2])
    return image.reshape(height, scale, width, scale, -1).mean(axis=(1, 3), dtype=np.float64)


def reduced_by_pillow(image, scale):
    height, width = (n // scale for n in image.shape[:2])
    planes = [Pillow.fromarray(plane, "F") for plane in np.moveaxis(image, -1, 0)]
    return np.stack([plane.resize((width, height), Pillow.Resampling.BICUBIC) for plane in planes], axis=-1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("degradation", LINEAR)
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 7, 2), (37, 23, 2)])
def test_degraded_again_a_corrected_result_is_the_input(rng, degradation, scale, shape):
    x = rng.random(shape, np.float32)
    y = rng.random((shape[0] * scale, shape[1] * scale, shape[2]), np.float32)
    consistent = Consistency(degradation, scale)
    corrected = consistent(y, x)
    assert corrected.shape == y.shape and corrected.dtype == np.float32
    np.testing.assert_allclose(consistent.degraded(corrected), x, atol=1e-5)
    if min(shape[:2]) > 1:  # a Gaussian of any width does not fit into one pixel
        np.testing.assert_allclose(make(degradation)(corrected, scale=scale), x, atol=1e-5)
    match degradation:
        case "area":
            np.testing.assert_allclose(binned(corrected, scale), x, atol=1e-6)
        case "bicubic":
            np.testing.assert_allclose(reduced_by_pillow(corrected, scale), x, atol=1e-5)
        case "thesis":
            np.testing.assert_allclose(corrected[::scale, ::scale], x, atol=1e-6)


def test_of_binning_the_error_of_a_block_is_subtracted(rng):
    x, y = rng.random((5, 6, 1), np.float32), rng.random((20, 24, 1), np.float32)
    errors = (binned(y, 4) - x).repeat(4, 0).repeat(4, 1)
    np.testing.assert_allclose(Consistency("area", 4)(y, x), y - errors, atol=1e-6)
    assert Consistency("area", 4).reach == 0


@pytest.mark.parametrize("degradation", ["bicubic", "gaussian"])
def test_the_correction_is_the_smallest_one(rng, degradation):
    """It is orthogonal to whatever the degradation does not see, so that any other correction is larger."""
    x, y = rng.random((9, 8, 1), np.float32), rng.random((36, 32, 1), np.float32)
    consistent = Consistency(degradation, 4)
    corrected = consistent(y, x)
    unseen = consistent(rng.random(y.shape, np.float32), np.zeros_like(x))
    assert np.abs(unseen).mean() > 0.1
    assert np.abs(consistent.degraded(unseen)).max() < 1e-5
    assert abs(((corrected - y) * unseen).mean()) < 1e-6
    np.testing.assert_allclose(consistent(corrected, x), corrected, atol=1e-5)


@pytest.mark.parametrize(
    ("degradation", "message"),
    [
        ("microscope", "linear and not random: bicubic, thesis, area, gaussian. Received: one of microscope"),
        ("acquired", "not random.*Received: one of acquired"),
        ("gaussian:sigma=3", "a blur of a few pixels only. Received: a model of gaussian:sigma=3"),
    ],
)
def test_what_cannot_be_undone_is_one_line(tiny_upscaler, degradation, message):
    with pytest.raises(ValueError, match=f"`consistent` .*{message}.* Leave it out"):
        upscale(tiny_upscaler(degradation=degradation), np.zeros((4, 4), np.uint8), consistent=True)


@pytest.fixture(scope="module")
def scene():
    """Bright discs on an even ground, float32, of size 61x67, and a stack of two of them."""
    rows, columns = np.mgrid[:61, :67]
    image = np.full((61, 67), 100, np.float32)
    for y, x, radius in ((12, 15, 4), (40, 50, 7), (50, 9, 3)):
        image[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = 900
    return np.stack([image, image[::-1] / 2 + np.random.default_rng(0).random(image.shape)]).astype(np.float32)


def span(image):
    low, high = np.percentile(image, (0.1, 99.9))
    return high - low


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("degradation", [None, "area", "bicubic", "gaussian"])
def test_corrections_do_not_depend_on_tiles(tiny_upscaler, scene, degradation, clip):
    model = tiny_upscaler(degradation=degradation or "bicubic")
    options = {"axes": "ZYX", "clip": clip, "consistent": degradation is not None}
    whole = upscale(model, scene, **options)
    tiled = upscale(model, scene, **options, tile=16)
    np.testing.assert_allclose(tiled, whole, atol=1e-5 * span(scene))
    if degradation and not clip:
        degraded = make(degradation)(np.moveaxis(whole, 0, -1), scale=4)
        np.testing.assert_allclose(np.moveaxis(degraded, -1, 0), scene, atol=1e-4 * span(scene))
        plain = upscale(model, scene, axes="ZYX")
        assert np.abs(plain - whole).max() > 0.01 * span(scene)


@pytest.mark.parametrize("over", ["stack", "plane"])
def test_clipped_results_lie_within_the_values_of_the_input(tiny_upscaler, scene, over):
    plain, clipped = (
        upscale(tiny_upscaler(), scene, axes="ZYX", normalize_over=over, clip=clip) for clip in (False, True)
    )
    bounds = [(scene.min(), scene.max())] * 2 if over == "stack" else [(x.min(), x.max()) for x in scene]
    for out, unbound, (low, high) in zip(clipped, plain, bounds, strict=True):
        assert unbound.min() < low and unbound.max() > high
        np.testing.assert_array_equal(out, np.clip(unbound, low, high))


def test_integrated_intensities_are_kept(tiny_upscaler, scene):
    image = (scene[0] * 5).astype(np.uint16) + 30_000  # far from both ends of the dtype
    model = tiny_upscaler(degradation="area")
    kept, lost = (upscale(model, image, consistent=consistent) for consistent in (True, False))
    assert np.abs(binned(kept, 4)[..., 0] - image).max() <= 0.5  # rounding
    assert np.abs(binned(lost, 4)[..., 0] - image).max() > 100


def test_what_clipping_undoes_is_said(tiny_upscaler, scene, said):
    model = tiny_upscaler(degradation="area")
    clipped = upscale(model, scene, axes="ZYX", clip=True, consistent=True, tile=16)
    residual = max(np.abs(binned(np.moveaxis(clipped, 0, -1), 4) - np.moveaxis(scene, 0, -1)).max(axis=(0, 1))) / span(
        scene
    )
    assert residual > 1e-3
    assert said.messages == [
        f"Degraded again, the clipped result is the input to {residual:.2g} of its range, at worst"
    ]
