import importlib.util
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tifffile
from conftest import ROOT, error_lines, randomise

import msrgan
from msrgan import io
from msrgan.apps import cli
from msrgan.apps.cli import arguments
from msrgan.evaluation import evaluate
from msrgan.models import card, engines, packages
from msrgan.models.engines import cache, choice
from msrgan.models.formats import onnx, openvino
from msrgan.networks import srresnet

PACKAGES = {"openvino": "openvino", "onnxruntime": "onnxruntime", "ncnn": "ncnn"}
SIZES = [(1, 1, 1), (1, 3, 7), (3, 9, 5), (2, 30, 41)]


@pytest.fixture(scope="module", params=[1, 3])
def exported(request, tmp_path_factory):
    """A model of small networks of two kinds, in one and in three channels."""
    small = {"channels": request.param, "filters": 4, "blocks": 1, "kernel": 5}
    generator = srresnet(**small) if request.param == 1 else srresnet(upsample="resize", batch_norm=False, **small)
    randomise(generator, seed=request.param)
    path = tmp_path_factory.mktemp("run") / "model"
    msrgan.export(generator, path)
    return path


@pytest.fixture(scope="module")
def one_channel(tmp_path_factory):
    generator = srresnet(channels=1, filters=2, blocks=1, kernel=3)
    randomise(generator)
    path = tmp_path_factory.mktemp("run") / "model"
    msrgan.export(generator, path, metadata={"normalization": "range"})
    return path


@pytest.fixture(scope="module")
def reference(one_channel):
    return engines.make("tensorflow", one_channel, card.read(one_channel))


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """The folder of all conversions, empty."""
    monkeypatch.setenv("MSRGAN_CACHE", str(tmp_path / "caches"))
    return tmp_path / "caches"


def image(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def entry(caches):
    (folder,) = caches.iterdir()
    return folder


@pytest.fixture
def no_conversion(monkeypatch):
    """Let every conversion fail."""

    def convert(*_):
        raise AssertionError("a model was converted")

    for module in (openvino, onnx):
        monkeypatch.setattr(module, "write", convert)


# What an engine computes


@pytest.mark.parametrize("name", PACKAGES)
def test_an_engine_agrees_with_tensorflow(exported, name):
    pytest.importorskip(PACKAGES[name])
    metadata = card.read(exported)
    expected, engine = engines.make("tensorflow", exported, metadata), engines.make(name, exported, metadata)
    for k, (batch, height, width) in enumerate(SIZES):
        x = image(batch, height, width, metadata["channels"], seed=k) * 1.5 - 0.2  # values beyond [0, 1] pass too
        y = engine(x)
        assert (y.shape, y.dtype) == ((batch, 4 * height, 4 * width, metadata["channels"]), np.float32)
        assert expected(x).std() > 0.05
        np.testing.assert_allclose(y, expected(x), atol=1e-4)


@pytest.mark.long
def test_onnx_is_right_whatever_was_converted_before(one_channel, reference, monkeypatch, tmp_path):
    # Names that tf2onnx makes end in a number of the process, on which one of its optimisations depended: of 60
    # conversions three were wrong.
    runtime, utils = pytest.importorskip("onnxruntime"), pytest.importorskip("tf2onnx.utils")
    x = image(2, 3, 5, 1)
    for made in range(3000, 3060):
        monkeypatch.setattr(utils, "INTERNAL_NAME", made)
        onnx.write(one_channel, tmp_path / "a.onnx")
        session = runtime.InferenceSession(tmp_path / "a.onnx")
        np.testing.assert_allclose(session.run(None, {"image": x})[0], reference(x), atol=1e-4)


@pytest.mark.parametrize("name", PACKAGES)
def test_threads_may_share_an_engine(one_channel, name):
    pytest.importorskip(PACKAGES[name])
    engine = engines.make(name, one_channel, card.read(one_channel))
    batches = [image(1, 20 + k, 24, 1, seed=k) for k in range(8)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(engine, batches))
    for batch, result in zip(batches, results, strict=True):
        np.testing.assert_array_equal(result, engine(batch))


def test_a_model_tells_its_engine(one_channel):
    pytest.importorskip("openvino")
    model = msrgan.load(one_channel, engine="openvino")
    assert (model.engine, model.precision) == ("openvino", "float32")
    assert repr(model) == "<Upscaler: x4, 1 channels, degradation bicubic, engine openvino, precision float32>"
    other = msrgan.load(one_channel)
    assert (other.engine, other.precision) == ("tensorflow", "float32")
    assert repr(other) == "<Upscaler: x4, 1 channels, degradation bicubic>"
    assert msrgan.load("bicubic").engine is None
    x = image(40, 30)
    np.testing.assert_allclose(msrgan.upscale(model, x, tile=16), msrgan.upscale(other, x, tile=16), atol=1e-4)
    view = image(1, 18, 30, 1).astype(np.float64)[:, ::-2].swapaxes(1, 2)
    np.testing.assert_allclose(model(view), other(view), atol=1e-4)


def test_bfloat16_is_close_where_the_processor_has_it(one_channel, reference):
    pytest.importorskip("openvino")
    capabilities = packages.openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if "BF16" not in capabilities:
        with pytest.raises(ValueError, match="`precision` bfloat16 needs a processor that has it"):
            msrgan.load(one_channel, engine="openvino", precision="bfloat16")
        return
    model = msrgan.load(one_channel, engine="openvino", precision="bfloat16")
    x = image(1, 30, 20, 1)
    expected = reference(x)
    difference = np.abs(model(x) - expected).max() / max(1, np.abs(expected).max())  # as `choice.difference`
    assert 1e-6 < difference < choice.TOLERANCES["bfloat16"]
    assert "precision bfloat16" in repr(model)


def test_wrong_choices_are_one_line(one_channel, capsys):
    with pytest.raises(ValueError, match="`engine` is one of tensorflow, .*, auto. Received: torch"):
        msrgan.load(one_channel, engine="torch")
    with pytest.raises(ValueError, match="`precision` is one of float32, bfloat16. Received: int8"):
        msrgan.load(one_channel, precision="int8")
    with pytest.raises(ValueError, match="`precision` of the engine tensorflow is one of float32. Received: bfloat16"):
        msrgan.load(one_channel, precision="bfloat16")
    with pytest.raises(ValueError, match="are for trained models. Received: openvino for bicubic"):
        msrgan.load("bicubic", engine="openvino")
    assert (*engines.ENGINES, "auto") == arguments.ENGINES


# What is not taken


class Wrong(engines.Engine):
    """TensorFlow with an error."""

    name = "wrong"

    def __init__(self, reference, error, precision="float32"):
        super().__init__(None, None, precision)
        self.reference, self.error = reference, error

    def __call__(self, batch):
        return self.error(self.reference(batch))


def with_nan(y):
    y = y.copy()
    y[..., -1, -1, 0] = np.nan
    return y


def with_error(size):
    def error(y):
        y = y.copy()
        # The probe is noise whose result is larger than 1: the tolerance grows with it.
        y[0, 0, 0] += size * max(1, np.abs(y).max())
        return y

    return error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (with_error(1.1e-4), "in float32 differs from TensorFlow by 1.1e-04 of the range of intensities"),
        (with_nan, "in float32 differs from TensorFlow by nan"),
        (lambda y: y[:, 1:], "in float32 differs from TensorFlow by inf"),
        (lambda y: 1 / 0, "fails on this model .division by zero."),
    ],
)
def test_an_engine_that_does_not_agree_is_refused(one_channel, monkeypatch, reference, error, message):
    monkeypatch.setattr(choice, "make", lambda *_: Wrong(reference, error))
    with pytest.raises(ValueError, match=f"The engine openvino {message}.*Use another engine"):
        msrgan.load(one_channel, engine="openvino")
    monkeypatch.setattr(choice, "make", lambda *_: Wrong(reference, with_error(0.9e-4)))
    assert choice.choose("openvino", reference, one_channel, card.read(one_channel), "float32").name == "wrong"


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("openvino", "openvino", "openvino"), ("onnxruntime", "onnxruntime", "onnx"), ("onnxruntime", "tf2onnx", "onnx")]
    + [("ncnn", "ncnn", "ncnn")],
)
def test_a_missing_package_is_one_line(one_channel, name, package, extra, tmp_path, monkeypatch, capsys):
    for module in [key for key in sys.modules if key.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)  # importing it fails
    io.write_pixels(tmp_path / "a.png", np.zeros((8, 8), np.uint8))
    command = ["upscale", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), "--model", str(one_channel)]
    assert cli.main([*command, "--engine", name]) == 2
    (line,) = error_lines(capsys)
    assert line == f"msrgan: error: This needs the package {package}. Install it: pip install 'msrgan[{extra}]'"


def strange_model(source, target):
    """Copy a model, of which the signature prints."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 1), tf.float32, name="image")])
    def serve(image):
        tf.print("harm")
        return {"upscaled": tf.repeat(tf.repeat(image, 4, axis=1), 4, axis=2)}

    tf.saved_model.save(tf.Module(), str(target), signatures={"serving_default": serve})
    metadata = json.loads((source / card.METADATA).read_text())
    del metadata["fingerprint"]
    (target / card.METADATA).write_text(json.dumps(metadata))


def tampered_model(source, target):
    """Copy a model, with other weights."""
    shutil.copytree(source, target)
    weights = target / "variables" / "variables.data-00000-of-00001"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)


@pytest.mark.parametrize("change", [strange_model, tampered_model])
@pytest.mark.parametrize("engine", ["openvino", "auto"])
def test_a_model_is_checked_before_it_is_converted(one_channel, change, engine, caches, tmp_path, no_conversion):
    change(one_channel, tmp_path / "model")
    with pytest.raises(ValueError, match="model with PrintV2|model is a damaged model"):
        msrgan.load(tmp_path / "model", engine=engine)
    assert not caches.exists()


# The fastest


def test_auto_takes_the_fastest_that_agrees(one_channel, reference, monkeypatch, said):
    def make(name, *_):
        if name == "ncnn":
            raise packages.MissingPackageError("This needs the package ncnn")
        engine = Wrong(reference, with_error(0 if name == "onnxruntime" else 1e-3))
        engine.name = name
        return engine

    seconds = {"tensorflow": 0.003, "openvino": 0.001, "onnxruntime": 0.002}
    monkeypatch.setattr(choice, "make", make)
    monkeypatch.setattr(choice, "_seconds", lambda engines, channels: {name: seconds[name] for name in engines})
    assert msrgan.load(one_channel, engine="auto").engine == "onnxruntime"
    warning, line = said.messages
    assert warning.startswith("engine auto passes over openvino: The engine openvino in float32 differs")
    assert line == "engine onnxruntime, the fastest here for 64x64 pixels: tensorflow 3 ms, onnxruntime 2 ms"
    seconds["tensorflow"] = 0.0005
    assert msrgan.load(one_channel, engine="auto").engine == "tensorflow"
    with pytest.raises(ValueError, match="No engine that is installed has `precision` bfloat16 here. Use float32"):
        monkeypatch.setattr(choice, "ENGINES", ("ncnn",))
        msrgan.load(one_channel, engine="auto", precision="bfloat16")


def test_auto_passes_over_what_cannot_be_written(one_channel, caches, said):
    pytest.importorskip("onnxruntime")
    caches.write_text("a file where the folder of conversions should be")
    assert msrgan.load(one_channel, engine="auto").engine == "tensorflow"
    assert "engine auto passes over onnxruntime: " in "".join(said.messages)
    with pytest.raises(OSError):
        msrgan.load(one_channel, engine="onnxruntime")


@pytest.mark.long
def test_auto_takes_one_of_the_engines_that_are_here(said):
    model = msrgan.load("fluorescence", engine="auto")
    (line,) = said.messages
    assert line.startswith(f"engine {model.engine}, the fastest here for 64x64 pixels: tensorflow ")
    rates = dict(rate.rsplit(" ", 2)[:2] for rate in line.split(": ")[1].split(", "))
    here = {name for name, package in PACKAGES.items() if importlib.util.find_spec(package)}
    assert set(rates) == {"tensorflow"} | here
    assert int(rates[model.engine]) == min(map(int, rates.values()))
    x = image(1, 37, 50, 1)
    np.testing.assert_allclose(model(x), msrgan.load("fluorescence")(x), rtol=0, atol=1e-4)


# The cache


def test_a_model_is_converted_once(one_channel, caches, request):
    pytest.importorskip("openvino")
    first = msrgan.load(one_channel, engine="openvino")
    written = entry(caches)
    assert sorted(path.name for path in written.iterdir()) == ["digests.json", "model.bin", "model.xml"]
    request.getfixturevalue("no_conversion")
    again = msrgan.load(one_channel, engine="openvino")
    x = image(1, 12, 10, 1)
    np.testing.assert_array_equal(again(x), first(x))
    # The folder of the model is as it was, and nothing in it is taken for a conversion.
    assert not [path for path in one_channel.rglob("*") if path.name in ("digests.json", "model.xml")]


def test_a_conversion_has_the_name_of_what_it_follows_from(caches):
    written = []

    def made(fingerprint, **of):
        def write(folder):
            written.append(folder)
            (folder / "model").write_text(fingerprint)

        return cache.conversion({"fingerprint": fingerprint}, write, **of)

    base = {"engine": "openvino", "precision": "float32", "version": "1"}
    folder = made("a" * 64, **base)
    assert (made("a" * 64, **base), len(written)) == (folder, 1)
    others = {made("b" * 64, **base)} | {made("a" * 64, **base | {key: "x"}) for key in base}
    assert len(others | {folder}) == len(written) == 5
    assert {path.name for path in caches.iterdir()} == {path.name for path in others | {folder}}


def change_a_byte(folder):
    content = bytearray((folder / "model.bin").read_bytes())
    content[len(content) // 2] ^= 64
    (folder / "model.bin").write_bytes(content)


def cut(folder):
    (folder / "model.xml").write_bytes((folder / "model.xml").read_bytes()[:1000])


def lose_digests(folder):
    (folder / "digests.json").write_text("[")


def lose_weights(folder):
    (folder / "model.bin").unlink()


@pytest.mark.parametrize("damage", [change_a_byte, cut, lose_digests, lose_weights])
def test_a_damaged_conversion_is_made_anew(one_channel, reference, caches, damage, request):
    pytest.importorskip("openvino")
    metadata = card.read(one_channel)
    engines.make("openvino", one_channel, metadata)
    whole = {path.name for path in entry(caches).iterdir()}
    damage(entry(caches))
    x = image(1, 12, 10, 1)
    np.testing.assert_allclose(engines.make("openvino", one_channel, metadata)(x), reference(x), atol=1e-5)
    assert {path.name for path in entry(caches).iterdir()} == whole
    request.getfixturevalue("no_conversion")
    engines.make("openvino", one_channel, metadata)


def test_a_conversion_is_written_whole_or_not_at_all(caches, tmp_path, monkeypatch):
    def half(folder):
        (folder / "model").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="cannot be kept .No space left on device.. Name another folder by MSRGAN_CACHE"):
        cache.conversion({"fingerprint": "a" * 64}, half, engine="x")
    assert not list(caches.iterdir())
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MSRGAN_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match="Name another folder by MSRGAN_CACHE"):
        cache.conversion({"fingerprint": "a" * 64}, half, engine="x")


def test_the_place_of_the_cache(monkeypatch, tmp_path):
    assert cache.root() == tmp_path / "caches"
    monkeypatch.delenv("MSRGAN_CACHE")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for platform, variables, folder in (
        ("linux", {"XDG_CACHE_HOME": str(tmp_path / "xdg")}, tmp_path / "xdg"),
        ("linux", {"XDG_CACHE_HOME": "not/absolute"}, tmp_path / ".cache"),
        ("linux", {"XDG_CACHE_HOME": ""}, tmp_path / ".cache"),
        ("darwin", {}, tmp_path / "Library" / "Caches"),
        ("win32", {"LOCALAPPDATA": str(tmp_path / "local")}, tmp_path / "local"),
    ):
        monkeypatch.setattr(sys, "platform", platform)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert cache.root() == folder / "msrgan"


# What is said of it


def test_files_and_scores_tell_engine_and_precision(one_channel, tmp_path):
    pytest.importorskip("openvino")
    io.write_pixels(tmp_path / "a.tif", (image(16, 16) * 4000).astype(np.uint16))
    command = ["upscale", str(tmp_path / "a.tif"), "-o", str(tmp_path / "b.tif"), "--model", str(one_channel)]
    assert cli.main([*command, "--engine", "openvino"]) == 0
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert "engine: openvino\nprecision: float32\n" in file.pages[0].description
    for name, told in ((one_channel, ("openvino", "float32")), ("bicubic", (None, None))):
        model = msrgan.load(name, engine="openvino" if told[0] else "tensorflow")
        example = {"id": "x", "image": (image(32, 32, 1) * 4000).astype(np.uint16)}
        summary = evaluate(model, [example], out=tmp_path / str(told[0]))
        assert (summary["engine"], summary["precision"]) == told
        assert json.loads((tmp_path / str(told[0]) / "summary.json").read_text())["engine"] == told[0]


def test_openvino_compiles_a_network_for_a_shape_that_comes_again(one_channel, reference, monkeypatch):
    pytest.importorskip("openvino")
    engine = engines.make("openvino", one_channel, card.read(one_channel))
    shapes, compiled = [], engine._compiled
    monkeypatch.setattr(
        engine, "_compiled", lambda model: shapes.append(tuple(model.input(0).shape)) or compiled(model)
    )
    a, b = (1, 9, 7, 1), (2, 8, 11, 1)
    for k, shape in enumerate((a, b, b, b, b, a, a, b, a, a, a, b)):
        x = image(*shape, seed=k)
        np.testing.assert_allclose(engine(x), reference(x), atol=1e-5)
    assert shapes == [b, a]


def test_an_engine_that_fails_on_a_shape_that_comes_again_is_refused(one_channel, reference, monkeypatch):
    class Wrong(type(reference)):
        shapes = ()

        def __call__(self, batch):
            self.shapes += (batch.shape,)
            return super().__call__(batch) + (self.shapes.count(batch.shape) == 3)

    monkeypatch.setattr(choice, "make", lambda name, path, metadata, precision: Wrong(path, metadata))
    with pytest.raises(ValueError, match="The engine openvino in float32 differs from TensorFlow"):
        choice.choose("openvino", reference, one_channel, card.read(one_channel), "float32")


def test_a_process_has_one_core_of_openvino(one_channel, caches, monkeypatch):
    """With its last Core OpenVINO unloads libraries in which threads still wait: the next signal crashes them."""
    pytest.importorskip("openvino")
    core = packages.openvino_core()
    monkeypatch.setattr(packages.openvino(), "Core", None)
    assert packages.openvino_core() is core
    msrgan.load(one_channel, engine="openvino")  # neither converting nor compiling makes another


def test_openvino_sends_nothing(tmp_path):
    """Imported plainly it makes a folder `intel` at home for an identity, and calls www.google-analytics.com."""
    pytest.importorskip("openvino_telemetry")
    script = (
        "import runpy, socket, sys\n"
        "def tell(*_, **__): print('network'); raise OSError\n"
        "socket.getaddrinfo = socket.create_connection = socket.socket.connect = tell\n"
        "packages = runpy.run_path(sys.argv[1])\n"
        "network = packages['openvino']().Core().read_model(sys.argv[2])\n"
        "packages['openvino']().save_model(network, sys.argv[3])\n"
        "print('openvino_telemetry' in sys.modules)\n"
    )
    xml = tmp_path / "empty.xml"
    xml.write_text('<net name="empty" version="11"><layers/><edges/></net>')
    arguments = [ROOT / "msrgan" / "models" / "packages.py", xml, tmp_path / "out.xml"]
    (tmp_path / "home").mkdir()
    environment = {"HOME": str(tmp_path / "home")}  # no variable of a build service, which would keep it quiet
    done = subprocess.run([sys.executable, "-c", script, *arguments], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, ["False"]), done.stderr
    assert not list((tmp_path / "home").iterdir())
