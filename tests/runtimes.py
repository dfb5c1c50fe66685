"""Models in the formats of others, run by the runtimes of those formats: file -> images (B, H, W, C) -> enlarged."""

import numpy as np
import pytest


def keras(file):
    from keras.models import load_model

    network = load_model(file)
    assert (network.input.name, network.output_names) == ("image", ["upscaled"])
    return lambda images: np.asarray(network(images))


def onnx(file):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["upscaled"], {"image": images})[0]


def openvino(file):
    core = pytest.importorskip("openvino").Core()
    core.set_property({"INFERENCE_PRECISION_HINT": "f32"})
    network = core.compile_model(file, "CPU")
    return lambda images: network({"image": images})["upscaled"]


def litert(file):
    runtime = pytest.importorskip("ai_edge_litert.interpreter")
    signature = runtime.Interpreter(str(file)).get_signature_runner("serving_default")
    return lambda images: signature(image=images)["upscaled"]


def ncnn(file):
    package = pytest.importorskip("ncnn")
    net = package.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    assert net.load_param(str(file)) == net.load_model(str(file.with_suffix(".bin"))) == 0

    def enlarge(image):
        planes = np.ascontiguousarray(image.transpose(2, 0, 1))
        extractor = net.create_extractor()
        extractor.input("image", package.Mat(planes).clone())
        failed, result = extractor.extract("upscaled")
        assert not failed
        return np.array(result).transpose(1, 2, 0)

    return lambda images: np.stack([enlarge(image) for image in images])


# Format -> how its files end, what runs them.
RUNTIMES = {
    "keras": (".keras", keras),
    "onnx": (".onnx", onnx),
    "openvino": (".xml", openvino),
    "litert": (".tflite", litert),
    "ncnn": (".param", ncnn),
}
