"""The two training scripts as commands: what they leave, and what they say of bad input."""

import json
from types import SimpleNamespace

import cv2
import keras
import numpy as np
import pytest
import tifffile
from conftest import spots, table, untrace
from PIL import Image

import msrgan.training.srgan
import train_srgan
import train_vgg
import vgg_micro.training
from msrgan.data.stream import Part
from msrgan.degradation import make
from msrgan.training.variants import TRAINING, VARIANTS

VGG = ["--width", "0.03125", "--image-size", "32", "--epochs", "1", "--batch-size", "4"]
# How a TIFF says that its planes are channels.
PLANES = {"photometric": "minisblack", "metadata": {"axes": "CYX"}}
SRGAN = ["--filters", "4", "--blocks", "1", "--patch-size", "16", "--batch-size", "2"]
SRGAN += ["--pretrain-steps", "1", "--steps", "1", "--steps-per-epoch", "1"]
# Where the system plays no part, the one that takes least time.
SRCNN = [*SRGAN, "--variant", "srcnn"]


@pytest.fixture(scope="module")
def vgg(image_folder, tmp_path_factory):
    """A run of stage 1 on colour images."""
    out = tmp_path_factory.mktemp("runs") / "vgg"
    with pytest.MonkeyPatch.context() as patch:
        untrace(patch)
        assert train_vgg.main(["--data", str(image_folder), "--out", str(out), *VGG]) == 0
    return out


def test_stage_1_leaves_a_network_and_its_scores(vgg):
    network = keras.saving.load_model(vgg / "vgg.keras")
    assert network.output_shape == (None, 2)
    scores = table(vgg / "per_class.csv")
    assert [(row["class"], row["images"]) for row in scores] == [("disc", "1"), ("stripes", "1")]
    assert cv2.imread(str(vgg / "confusion.png")).shape[2] == 3
    config = json.loads((vgg / "config.json").read_text())
    assert config["arguments"]["width"] == 1 / 32
    assert config["data"]["images"] == 10
    assert len(config["data"]["fingerprint"]) == 64
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1"} <= set(table(vgg / "history.csv")[0])


# Runs as users have them, traced and of full width, take 20 seconds each: here one of them, in the long proofs all.
RUNS = [("msrgan", 2), *((variant, 1) for variant in ("srgan", "realtime", "esrgan"))]
RUNS += [pytest.param(variant, 2, marks=pytest.mark.long) for variant in ("srgan", "realtime", "esrgan")]


@pytest.mark.parametrize(("variant", "steps"), RUNS)
def test_stage_2_leaves_a_model_that_upscales(variant, steps, vgg, image_folder, tmp_path, request):
    if steps == 1:
        request.getfixturevalue("untraced")
    out = tmp_path / "run"
    arguments = [
        "--data",
        str(image_folder),
        "--vgg",
        str(vgg),
        "--out",
        str(out),
        "--variant",
        variant,
        *SRGAN,
        *(f"--{name}={steps}" for name in ("pretrain-steps", "steps", "steps-per-epoch")),
    ]
    assert train_srgan.main(arguments) == 0
    pixel, gan = table(out / "history.csv")
    assert (pixel["phase"], gan["phase"]) == ("pixel", "gan")
    for name in (
        "pixel",
        "content",
        "adversarial",
        "norm_pixel",
        "norm_content",
        "norm_adversarial",
        "d_margin",
    ):
        assert np.isfinite(float(gan[name]))
    assert float(gan["norm_content"]) > 0
    pictures = ["run.gif", *(f"step_{number:07}.png" for number in (steps, 2 * steps))]
    assert sorted(p.name for p in (out / "samples").iterdir()) == pictures
    with Image.open(out / "samples" / "run.gif") as film, Image.open(out / "samples" / pictures[1]) as first:
        assert film.n_frames == 2
        assert (film.width, film.height) >= first.size
    arguments = json.loads((out / "config.json").read_text())["arguments"]
    chosen = VARIANTS[variant]
    published = chosen.sizes | TRAINING | chosen.training | {"filters": 4, "blocks": 1, "vgg": str(vgg)}
    assert {name: arguments[name] for name in published} == json.loads(json.dumps(published))
    model = msrgan.load(out)
    image = spots(3, size=20)
    assert msrgan.upscale(model, image).shape == (80, 80, 3)
    assert model.metadata["degradation"] == "bicubic"
    assert len(model.metadata["training_hashes"]) == 10
    generator = keras.saving.load_model(out / "generator.keras")
    lr = np.random.default_rng(0).normal(size=(1, 9, 11, 3)).astype("float32")
    np.testing.assert_allclose(model((lr + 1) / 2) * 2 - 1, generator(lr), atol=1e-4)


def test_srcnn_goes_on_with_pixels_and_names_what_it_lacks(image_folder, tmp_path, capfd, untraced):
    arguments = ["--data", str(image_folder), "--variant", "srcnn", "--out", str(tmp_path), *SRGAN, "--beta", "1"]
    assert train_srgan.main(arguments) == 0
    assert "srcnn has no --beta, --blocks, --filters: ignored." in capfd.readouterr().out
    rows = table(tmp_path / "history.csv")
    assert [(row["phase"], row["step"]) for row in rows] == [("pixel", "1"), ("pixel", "2")]
    arguments = json.loads((tmp_path / "config.json").read_text())["arguments"]
    assert (arguments["filters"], arguments["pixel_loss"], arguments["image_skip"]) == (None, "mse", "bicubic")
    assert (arguments["alpha"], arguments["beta"], arguments["vgg"]) == (None, None, None)


def test_the_image_skip_lies_on_the_grid_of_the_degradation(grey, tmp_path, untraced):
    still = ["--pretrain-steps", "1", "--steps", "0", "--pretrain-learning-rate", "0", "--degradation", "thesis"]
    assert train_srgan.main(["--data", str(grey), "--vgg", "none", *SRGAN, *still, "--out", str(tmp_path)]) == 0
    generator = keras.saving.load_model(tmp_path / "generator.keras")
    assert generator.get_layer("image_skip").grid == "corner"
    # What has learned nothing yet is bicubic interpolation, whose scores are those of the right grid.
    (row,) = table(tmp_path / "history.csv")
    assert float(row["val_psnr"]) > float(row["val_psnr_bicubic"]) - 0.1


def test_a_run_without_gan_goes_on_with_one(vgg, image_folder, tmp_path, untraced):
    arguments = ["--data", str(image_folder), "--out", str(tmp_path), *SRGAN]
    assert train_srgan.main([*arguments, "--steps", "0"]) == 0  # a --vgg that there is not yet does not matter
    arguments += ["--vgg", str(vgg), "--steps"]
    assert [row["phase"] for row in table(tmp_path / "history.csv")] == ["pixel"]
    assert train_srgan.main([*arguments, "1"]) == 0
    pixel, gan = table(tmp_path / "history.csv")
    assert gan["phase"] == "gan"
    assert float(gan["norm_content"]) > 0


def test_a_generator_starts_from_another_run(grey, tmp_path, capfd, untraced):
    common = ["--data", str(grey), "--vgg", "none", *SRGAN, "--steps", "0", "--scale", "2"]
    assert train_srgan.main([*common, "--out", str(tmp_path / "first")]) == 0
    start = ["--init", str(tmp_path / "first"), "--pretrain-steps", "0"]
    assert train_srgan.main([*common, *start, "--out", str(tmp_path / "second")]) == 0
    first, second = (
        keras.saving.load_model(tmp_path / n / "generator.keras").get_weights() for n in ("first", "second")
    )
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    capfd.readouterr()
    assert_refused(train_srgan.main, [*common, *start, "--filters", 8], tmp_path / "third", capfd, "is another network")
    other = [*common, *start, "--image-skip", "none"]
    assert_refused(train_srgan.main, other, tmp_path / "third", capfd, "image_skip x2, centre there")
    (tmp_path / "first" / "generator.keras").rename(tmp_path / "moved.keras")
    again = [*common, *start, "--out", str(tmp_path / "second"), "--pretrain-steps", "1"]
    assert train_srgan.main([*again, "--no-resume"]) == 2
    (tmp_path / "moved.keras").rename(tmp_path / "first" / "generator.keras")
    assert train_srgan.main([*again, "--no-resume"]) == 0
    (tmp_path / "first" / "generator.keras").unlink()
    assert train_srgan.main(again) == 0  # the checkpoints are enough to go on
    capfd.readouterr()
    start[1] = str(tmp_path / "nowhere")
    assert_refused(train_srgan.main, [*common, *start], tmp_path / "third", capfd, "there is no exported model")
    (tmp_path / "damaged.keras").write_bytes(b"PK")
    start[1] = str(tmp_path / "damaged.keras")
    assert_refused(train_srgan.main, [*common, *start], tmp_path / "third", capfd, "cannot be read as a generator")


def test_imagenet_features_from_a_file(image_folder, tmp_path, capfd, untraced):
    weights = tmp_path / "vgg19.weights.h5"
    keras.applications.VGG19(include_top=False, weights=None).save_weights(weights)
    arguments = ["--data", str(image_folder), "--variant", "esrgan", "--vgg-weights"]
    out = tmp_path / "run"
    assert train_srgan.main([*map(str, arguments), str(weights), "--out", str(out), *SRGAN]) == 0
    assert float(table(out / "history.csv")[1]["norm_content"]) > 0
    nowhere = [*arguments, tmp_path / "nowhere.h5", *SRGAN]
    assert_refused(train_srgan.main, nowhere, tmp_path / "other", capfd, "must name a file of VGG19 weights")
    mixed = ["--data", image_folder, "--vgg", "runs/vgg", "--vgg-weights", weights, *SRGAN]
    assert_refused(
        train_srgan.main, mixed, tmp_path / "other", capfd, "belong to ImageNet's VGG19. Received: --vgg runs"
    )
    layers = [*arguments, weights, "--vgg-layers", "block9_conv1", *SRGAN]
    assert_refused(train_srgan.main, layers, tmp_path / "other", capfd, "Received: 'block9_conv1'")


def test_no_steps_at_all_are_refused(grey, tmp_path, capfd):
    arguments = ["--data", grey, *SRGAN, "--steps", 0, "--pretrain-steps", 0]
    assert_refused(train_srgan.main, arguments, tmp_path / "run", capfd, "there is nothing to do")


def test_an_unknown_variant_is_named(grey, tmp_path, capfd):
    message = "--variant is one of msrgan, srgan, realtime, esrgan, srcnn, span. Received: x"
    assert_refused(train_srgan.main, ["--data", grey, "--variant", "x"], tmp_path / "run", capfd, message)


def test_an_adversarial_loss_alone_is_refused(grey, tmp_path, capfd):
    arguments = ["--data", grey, "--vgg", "none", "--variant", "srgan", *SRGAN]
    assert_refused(train_srgan.main, arguments, tmp_path / "run", capfd, "Use an --alpha of 1")


@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels_and_depths(channels, tmp_path, untraced):
    for k in range(3):
        image = spots(k, size=20, channels=channels, dtype=np.uint16)
        planes = np.moveaxis(image, -1, 0)
        tifffile.imwrite(tmp_path / f"{k}.tif", planes, **PLANES)
    out = tmp_path / "run"
    assert train_srgan.main(["--data", str(tmp_path), "--vgg", "none", "--out", str(out), *SRGAN]) == 0
    assert msrgan.load(out).channels == channels
    assert "norm_content" not in table(out / "history.csv")[1]


@pytest.mark.parametrize(
    "flag",
    [
        ("--crop", "grid"),
        ("--normalize", "range"),
        ("--degradation", "thesis"),
        ("--degradation", "gaussian:sigma=0.75"),
        ("--degradation", "microscope"),
        ("--jit", "on"),
        pytest.param(("--jit", "on", "--variant", "msrgan"), marks=pytest.mark.long),
        ("--decay", "0.5:0.1", "7:0.5"),
    ],
)
def test_other_ways_to_make_pairs(flag, image_folder, tmp_path, untraced):
    system = SRGAN if flag[0] == "--decay" else SRCNN  # pairs are made alike for all of them, in both phases
    arguments = ["--data", str(image_folder), "--vgg", "none", "--out", str(tmp_path), *system, *flag]
    assert train_srgan.main(arguments) == 0
    metadata = json.loads((tmp_path / "model" / "msrgan.json").read_text())
    assert metadata["normalization"] == ("range" if flag[1] == "range" else "percentile")
    degradation = make(flag[1] if flag[0] == "--degradation" else "bicubic")
    assert make(metadata["degradation"]) == degradation


def assert_refused(main, arguments, out, capfd, message):
    capfd.readouterr()
    assert main([*map(str, arguments), "--out", str(out)]) == 2
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert message in lines[0]
    assert not out.is_dir() or not any(out.iterdir())


@pytest.fixture
def grey(tmp_path):
    folder = tmp_path / "grey"
    folder.mkdir()
    for k in range(3):
        cv2.imwrite(str(folder / f"{k}.png"), spots(k, size=20, channels=1))
    return folder


@pytest.mark.parametrize("main", [train_vgg.main, train_srgan.main])
def test_no_data(main, tmp_path, capfd):
    extra = ["--vgg", "none"] if main is train_srgan.main else []
    assert_refused(
        main,
        ["--data", tmp_path / "nowhere", *extra],
        tmp_path / "run",
        capfd,
        "must be a folder of images or one of",
    )
    (tmp_path / "empty").mkdir()
    assert_refused(main, ["--data", tmp_path / "empty", *extra], tmp_path / "run", capfd, "holds no images")


def test_only_unreadable_images(tmp_path, capfd):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").write_bytes(b"no image")
    arguments = ["--data", str(tmp_path / "data"), "--vgg", "none", "--out", str(tmp_path / "run")]
    assert train_srgan.main(arguments) == 2
    warning, error = capfd.readouterr().err.strip().splitlines()
    assert "skipped" in warning
    assert "a.png" in warning
    assert "too few images" in error or "no readable image" in error


def test_image_smaller_than_the_patch(grey, tmp_path, capfd):
    arguments = ["--data", grey, "--vgg", "none"]
    assert_refused(
        train_srgan.main, arguments, tmp_path / "run", capfd, "of 20x20. Remove it or use a --patch-size of 20"
    )


def test_mixed_channels(grey, tmp_path, capfd):
    tifffile.imwrite(grey / "four.tif", np.zeros((4, 20, 20), np.uint8), **PLANES)
    arguments = ["--data", grey, "--vgg", "none", *SRGAN]
    assert_refused(train_srgan.main, arguments, tmp_path / "run", capfd, "need the same number of channels")


def test_an_image_of_nan_pixels_is_skipped(grey, tmp_path, capfd, untraced):
    tifffile.imwrite(grey / "nan.tif", np.full((20, 20), np.nan, np.float32))
    arguments = ["--data", grey, "--out", tmp_path / "run", *SRCNN, "--steps", 0]
    assert train_srgan.main([*map(str, arguments)]) == 0
    (warning,) = capfd.readouterr().err.strip().splitlines()
    assert "nan.tif: pixels must be finite. Received: 400 NaN or infinite ones" in warning


def test_a_run_that_diverges_in_its_last_step_leaves_no_model(grey, tmp_path, capfd, untraced):
    arguments = ["--data", grey, "--vgg", "none", "--out", tmp_path / "run", *SRGAN]
    arguments += ["--pretrain-steps", 1, "--steps", 0, "--pretrain-learning-rate", 1e30]
    assert train_srgan.main([*map(str, arguments)]) == 1
    (error,) = capfd.readouterr().err.strip().splitlines()
    assert "val_psnr, val_ssim became NaN or infinite at step 1. Go on with a lower learning rate" in error
    assert not list(tmp_path.glob("run/model")) + list(tmp_path.glob("run/*.keras"))


def test_labels_missing_or_of_one_class(grey, tmp_path, capfd):
    assert_refused(train_vgg.main, ["--data", grey], tmp_path / "run", capfd, "Every image needs a class")
    assert_refused(train_vgg.main, ["--data", grey.parent], tmp_path / "run2", capfd, "two classes or more")


def test_no_vgg_yet(grey, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["--data", grey, *SRGAN]
    assert_refused(train_srgan.main, arguments, tmp_path / "run", capfd, "Train one first by train_vgg.py")


def test_vgg_of_other_channels(vgg, tmp_path, capfd):
    (tmp_path / "data").mkdir()
    for k in range(3):
        tifffile.imwrite(tmp_path / "data" / f"{k}.tif", np.zeros((4, 20, 20), np.uint8), **PLANES)
    arguments = ["--data", tmp_path / "data", "--vgg", vgg, *SRGAN]
    assert_refused(
        train_srgan.main, arguments, tmp_path / "run", capfd, "take images of 3 channels. Received: images of 4"
    )


def test_out_is_not_writable(grey, tmp_path, capfd):
    (tmp_path / "file").write_text("")
    arguments = ["--data", grey, "--vgg", "none", *SRGAN]
    assert_refused(train_srgan.main, arguments, tmp_path / "file" / "run", capfd, "file")


def test_no_resume_removes_what_a_run_left_and_nothing_else(grey, tmp_path, untraced):
    out = tmp_path / "run"
    (out / "model").mkdir(parents=True)
    (out / "model" / "mine.txt").write_text("mine")
    arguments = ["--data", str(grey), "--out", str(out), *SRCNN, "--steps", "0", "--no-resume"]
    assert train_srgan.main(arguments) == 2  # told before the training: a folder that is no model is not replaced
    assert [path.name for path in out.rglob("*")] == ["model", "mine.txt"]
    (out / "model" / "mine.txt").unlink()
    (out / "model").rmdir()
    assert train_srgan.main(arguments) == 0
    (out / "notes.txt").write_text("mine")
    (out / "vgg.keras").write_text("left by an earlier run")
    assert train_srgan.main(arguments) == 0
    assert (out / "notes.txt").exists()
    assert not (out / "vgg.keras").exists()


def test_a_foreign_config_is_never_taken_for_a_run(grey, tmp_path, capfd):
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.json").write_text("[]")
    for flag in ((), ("--no-resume",)):
        arguments = ["--data", str(grey), "--vgg", "none", "--out", str(out), *SRGAN, *flag]
        assert train_srgan.main(arguments) == 2
        assert "is not that of a run of this program" in capfd.readouterr().err
    assert (out / "config.json").read_text() == "[]"


def test_patch_that_the_scale_does_not_divide(grey, tmp_path, capfd):
    arguments = ["--data", grey, "--vgg", "none", *SRGAN, "--patch-size", "18"]
    assert_refused(
        train_srgan.main, arguments, tmp_path / "run", capfd, "must be a multiple of --scale. Received: 18, 4"
    )


@pytest.mark.parametrize(
    ("flag", "value", "rule"),
    [
        ("--batch-size", "0", "a whole number from 1 to 2147483647"),
        ("--steps", "1e5", "a whole number from 0 to 2147483647"),
        ("--seed", "4294967296", "a whole number from 0 to 4294967295"),
        ("--seed", "-1", "a whole number from 0 to 4294967295"),
        ("--alpha", "-1", "a finite number of at least 0"),
        ("--alpha", "nan", "a finite number of at least 0"),
        ("--dropout", "1", "a number from 0 to below 1"),
        ("--decay", "0.5:x", "WHEN:FACTOR, as 0.5:0.1, or cosine"),
        ("--width", "0", "a number above 0 and below 100"),
    ],
)
def test_values_out_of_range_are_usage_errors(flag, value, rule, capfd):
    with pytest.raises(SystemExit) as stop:
        (train_vgg if flag == "--width" else train_srgan).main([flag, value])
    assert stop.value.code == 2
    assert capfd.readouterr().err.endswith(f"argument {flag}: must be {rule}. Received: {value}\n")


@pytest.mark.parametrize(
    ("module", "stage", "pairs"),
    [
        (msrgan.training.srgan, msrgan.training.srgan.SuperResolution, "sr_pairs"),
        (vgg_micro.training, vgg_micro.training.Classification, "labelled"),
    ],
)
def test_a_worker_reads_its_part_of_the_stream(module, stage, pairs, monkeypatch):
    monkeypatch.setattr(module, pairs, lambda images, **named: named)
    settings = SimpleNamespace(
        seed=5, batch_size=8, patch_size=16, image_size=16, scale=2, crop="grid", normalize="range", degradation="area"
    )
    unbuilt = object.__new__(stage)  # networks play no part
    vars(unbuilt).update(settings=settings, images=SimpleNamespace(images=None), channels=3, batch_size=8, window=7)
    context = SimpleNamespace(num_replicas_in_sync=4, num_input_pipelines=2, input_pipeline_id=1)
    named = unbuilt.batches(context, 10)
    assert named["seed"] == 5
    assert named["part"] == Part(start=80, shard=(2, 1), window=7)
    assert (named["batch_size"], named["channels"]) == (2, 3)
    if pairs == "sr_pairs":
        assert (named["patch_size"], named["scale"], named["crop"]) == (16, 2, "grid")
        assert (named["normalization"].kind, named["degradation"].name) == ("range", "area")
