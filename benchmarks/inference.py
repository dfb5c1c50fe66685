"""Networks of the same weights in every engine, 128 x 128 -> 512 x 512, RGB, and in the programs of others.

    python benchmarks/inference.py [--networks srgan realtime] [--cores N] [--peers-python PYTHON]

A peer computes the textbook network, as its user would: pixel shuffle, then the large convolution; batch norm folded.
Results in float32 agree to 1e-4; the engines that have bfloat16 are measured in it, too. Everything runs on the same
cores of this machine, in turns. GFLOP/s are in the textbook's count; the matrix product is TensorFlow's, 1536 x 1536
float32.
"""

import argparse
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

SIDE = 128
TOLERANCE = 1e-4
PRODUCT = 1536


def network_of(variant):
    """Return the generator of a variant in its default size; its weights are far from zero, its results near [0, 1]."""
    import keras
    import numpy as np

    from msrgan import VARIANTS

    keras.utils.set_random_seed(0)
    chosen = VARIANTS[variant]
    generator = chosen.generator(channels=3, scale=4, grid="centre", **chosen.sizes)
    rng = np.random.default_rng(0)
    for weight in generator.weights:
        if weight.path.endswith(("alpha", "beta", "bias", "moving_mean")):
            weight.assign(rng.normal(0.1, 0.05, weight.shape))
        if weight.path.endswith("output_conv/kernel"):
            weight.assign(rng.normal(0, 0.1 / np.prod(weight.shape[:-1]) ** 0.5, weight.shape))
    return generator


def contestants(generator, image, stack, args):
    """Return name -> function that enlarges the image and returns (seconds, result)."""
    import numpy as np
    import tensorflow as tf
    from textbook import program, textbook

    import msrgan
    from msrgan.models import card, engines

    clock = getattr(time, args.clock)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    os.environ["MSRGAN_CACHE"] = str(folder / "conversions")
    plain = textbook(generator)
    functions = {}

    def timed(function):
        def call():
            start = clock()
            result = function(image)
            return clock() - start, result

        return call

    path = folder / "model"
    msrgan.export(generator, path)
    for name, precision in itertools.product(engines.ENGINES, engines.PRECISIONS):
        label = name if precision == "float32" else f"{name} {precision}"
        try:
            functions[label] = timed(engines.make(name, path, card.read(path), precision))
        except ValueError as error:  # it is not installed, for instance, or has not this precision
            print(f"{label} is left out: {error}", flush=True)
    graph = tf.function(lambda x: (plain(x * 2 - 1) + 1) / 2, input_signature=[tf.TensorSpec((None, None, None, 3))])
    functions["Keras graph, textbook"] = timed(lambda x: graph(x).numpy())
    steps, weights = program(plain)
    functions |= {f"{name}, textbook": timed(f) for name, f in readers_of_onnx(steps, weights, image).items()}
    if args.peers_python:
        for mode in ("eager", "compiled"):
            own = folder / mode
            own.mkdir()
            (own / "program.json").write_text(json.dumps(steps))
            np.savez(own / "weights.npz", **weights)
            np.save(own / "image.npy", image)
            functions[f"PyTorch {mode}, textbook"] = peer(own, mode, stack, args)
    return functions


def readers_of_onnx(steps, weights, image):
    """Return name -> function of a batch: OpenVINO and ONNX Runtime on the textbook network, its shape fixed."""
    import numpy as np
    from textbook import onnx_of

    from msrgan.models import packages

    functions = {}
    with contextlib.suppress(packages.MissingPackageError):
        packages.required("onnx", "onnx")
        model = onnx_of(steps, weights, [len(image), image.shape[3], *image.shape[1:3]])
        session = packages.required("onnxruntime", "onnx").InferenceSession(model, providers=["CPUExecutionProvider"])
        functions["ONNX Runtime"] = lambda x: session.run(None, {"image": x})[0]
        core = packages.openvino().Core()
        for precision, hint in (("", "f32"), (" bfloat16", "bf16")):
            network = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": hint})
            functions[f"OpenVINO{precision}"] = lambda x, network=network: network(x)[0]

    def of(function):
        """Return it of (B, H, W, C), where it is of (B, C, H, W)."""

        def call(x):
            y = function(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
            return np.ascontiguousarray(y.transpose(0, 2, 3, 1))

        return call

    return {name: of(function) for name, function in functions.items()}


def peer(folder, mode, stack, args):
    """Start PyTorch in a process of its own."""
    import numpy as np

    script = Path(__file__).with_name("inference_torch.py")
    command = [args.peers_python, script, folder, mode, str(args.cores), args.clock]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    stack.callback(process.kill)

    def call():
        process.stdin.write("\n")
        process.stdin.flush()
        return float(process.stdout.readline()), np.load(folder / "result.npy")

    return call


def measure(variant, args):
    """Print a table of a network."""
    import numpy as np
    import tensorflow as tf
    from textbook import multiplications, textbook

    generator = network_of(variant)
    giga = 2e-9 * multiplications(textbook(generator, (SIDE, SIDE, 3)))
    image = np.random.default_rng(0).random((1, SIDE, SIDE, 3), np.float32)
    matrix, clock = tf.random.normal((PRODUCT, PRODUCT)), getattr(time, args.clock)

    def product():
        start = clock()
        (matrix @ matrix).numpy()
        return clock() - start, None

    with contextlib.ExitStack() as stack:
        functions = contestants(generator, image, stack, args)
        expected = functions["tensorflow"]()[1]
        differences = {name: float(np.abs(function()[1] - expected).max()) for name, function in functions.items()}
        functions["matrix product"] = product
        seconds = {name: [] for name in functions}
        for _ in range(1 + args.repetitions):
            for name, function in functions.items():
                seconds[name].append(function()[0])
    seconds = {name: of[1:] for name, of in seconds.items()}
    rate = 2e-9 * PRODUCT**3 / min(seconds.pop("matrix product"))
    peer_seconds = seconds.get("OpenVINO, textbook") or seconds["Keras graph, textbook"]
    print(f"\n`{variant}`, {giga:.1f} GFLOP; the matrix product runs at {rate:.0f} GFLOP/s\n")
    print("| | median ms | fastest ms | GFLOP/s, share | times as fast as OpenVINO, textbook | difference |")
    print("|---|---|---|---|---|---|")
    for name, of in sorted(seconds.items(), key=lambda item: statistics.median(item[1])):
        median, fastest = statistics.median(of), min(of)
        ratio = f"{statistics.median(peer_seconds) / median:.2f} ({min(peer_seconds) / fastest:.2f})"
        share = f"{giga / fastest:.0f}, {giga / fastest / rate:.2f}"
        print(f"| {name} | {1e3 * median:.0f} | {1e3 * fastest:.0f} | {share} | {ratio} | {differences[name]:.0e} |")
    worst = max((name for name in differences if "bfloat16" not in name), key=differences.get)
    if differences[worst] > TOLERANCE:
        raise SystemExit(f"{worst} differs from TensorFlow by {differences[worst]:.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["srgan", "realtime", "span"], help="variants (%(default)s)")
    parser.add_argument("--repetitions", type=int, default=7, help="after one that does not count (%(default)s)")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)), help="cores to run on (all)")
    parser.add_argument(
        "--clock", choices=("perf_counter", "process_time"), default="perf_counter",
        help="process_time, with one core, on a machine that does other things, too (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--peers-python", help="a Python that has PyTorch")
    args = parser.parse_args()
    # Before any runtime counts the cores: all of them keep to these.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.cores])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(args.cores)
    for variant in args.networks:
        measure(variant, args)


if __name__ == "__main__":
    main()
