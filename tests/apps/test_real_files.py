"""Real files through the command: with nearest neighbours, every fourth pixel of the result is a pixel of the file."""

import numpy as np
import pytest
import tifffile
from PIL import Image

import msrgan
from msrgan.apps import cli

FILES = (
    "bccd_blood_smear/JPEGImages/*.jpg",
    "brain_tumor_figshare_jpg/*/*.jpg",
    "cellpainting_jump_nf1/nf1_plate2/Plate_2_images/*.tif",
    "cellpainting_jump_nf1/nf1_plate2/Plate_2_masks/*.tiff",
    "cellprofiler_examples/ExampleColocalization/*.png",
    "cellprofiler_examples/ExampleHuman/*.tif",
    "cellprofiler_examples/ExampleIlluminationCorrection/*.TIF",
    "cellprofiler_examples/ExampleSpeckles/*.tif",
    "cyto2017_msrgan_96px/train/*.png",
    "dsb2018_nuclei/fluorescence_256x256/images/*.png",
    "dsb2018_nuclei/fluorescence_256x256/labels/*.png",
    "hpa_if_fields/cells_224_npy/*.npy",
    "oct_kermany_sample/*.jpeg",
    "openslide_he_ki67/original/OS-1*.tif",
    "openslide_he_ki67/tiles_512/*.png",
    "paired_bpae_srrf/*.tif",
)


def pixels_of(path):
    """Read by other libraries: (H, W), or with whatever other axes the file has."""
    if path.suffix.lower() in (".tif", ".tiff"):
        with tifffile.TiffFile(path) as file:
            array, palette = file.asarray(), file.pages[0].colormap
        return array if palette is None else palette[:, array].transpose(1, 2, 0) >> 8
    if path.suffix == ".npy":
        return np.load(path)
    array = np.asarray(Image.open(path))
    return array[..., :3] if array.ndim == 3 and array.shape[-1] == 4 else array


@pytest.mark.parametrize("pattern", FILES)
def test_every_fourth_pixel_is_one_of_the_file(pattern, real_data, tmp_path):
    files = sorted(real_data.glob(pattern))
    if not files:
        pytest.skip(f"there is no {pattern} in {real_data}")
    source = files[0]
    axes = ["--axes", "YXC"] if source.suffix == ".npy" else []
    assert cli.main(["upscale", str(source), "-o", str(tmp_path / "out"), "--model", "nearest", *axes]) == 0
    (target,) = (tmp_path / "out").iterdir()
    with (
        msrgan.read(source, axes=axes[-1] if axes else None) as before,
        msrgan.read(target, axes="YXC" if axes else None) as after,
    ):
        assert after.dtype == before.dtype
        assert after.axes == before.axes
        assert [c.name for c in after.channels] == [c.name for c in before.channels]
        sizes = before.pixel_size
        if target.suffix != ".npy" and sizes.x:
            assert after.pixel_size[:2] == pytest.approx([sizes.y / 4, sizes.x / 4], rel=1e-5)
    expected = pixels_of(source)
    result = pixels_of(target)
    if result.ndim == 2 and expected.ndim == 3:  # grey, stored as colours
        expected = expected[..., 0]
    assert result.shape == (4 * expected.shape[0], 4 * expected.shape[1], *expected.shape[2:])
    if target.suffix in (".jpg", ".jpeg"):  # which is lossy
        assert np.abs(result[::4, ::4].astype(int) - expected).mean() < 4
    else:
        np.testing.assert_array_equal(result[::4, ::4], expected)
        np.testing.assert_array_equal(result[3::4, 2::4], expected)
