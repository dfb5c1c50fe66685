"""One training step of the full SRGAN objective, against the same mathematics in PyTorch on the CPU.

SRResNet of 64 filters and 16 blocks, patch 96, batch 16, 4x: MSE + 0.006 * content loss on five maps of
mini-VGG19 + 1e-5 * least-squares adversarial loss; generator and discriminator updated with Adam; random
images and weights. In float32 and in mixed bfloat16: weights in float32, convolutions in bfloat16.

    python benchmarks/training_step.py --torch-python PYTHON_THAT_HAS_TORCH

The contestants take turns in one run; medians are reported, and the rate as a share of the float32 matrix
rate of this machine, measured in between. On a busy machine use --threads 1 and compare processor time: PyTorch's
threads wait for each other actively, and lose more than TensorFlow's when something else runs.
"""

import argparse
import os
import statistics
import subprocess
import time
from pathlib import Path

import keras
import tensorflow as tf
from gpu import features, multiplications

from msrgan import losses
from msrgan.networks import discriminator, srresnet
from msrgan.training.step import SRGAN
from vgg_micro.features import LAST_ACTIVATIONS, micro
from vgg_micro.network import vgg19_micro

PATCH, SCALE = 96, 4
BETA, GAMMA = 0.006, 1e-5
MATRIX = 2048


def matrix_product():
    """Return a function that multiplies two matrices and returns the processor time of that."""
    matrix = tf.random.normal((MATRIX, MATRIX))
    return lambda: processor_time(lambda: tf.matmul(matrix, matrix).numpy())


def processor_time(function):
    """Call a function; return the processor time that it took in seconds."""
    start = time.process_time()
    function()
    return time.process_time() - start


def training_step(precision, batch):
    """Return a function that does one step of the library's own SRGAN and returns its processor time."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(precision)
    generator = srresnet(scale=SCALE, image_skip="none")
    critic = discriminator(patch=PATCH, batch_norm=False, use_bias=False)
    model = SRGAN(generator, critic)
    content = losses.content(micro(vgg19_micro(image_size=PATCH)))
    objective = losses.Objective(content=content, beta=BETA, gamma=GAMMA)
    model.compile(objective, keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-3))
    lr = tf.random.uniform((batch, PATCH // SCALE, PATCH // SCALE, 3), -1, 1)
    hr = tf.random.uniform((batch, PATCH, PATCH, 3), -1, 1)
    step = tf.function(model.train_step)
    step((lr, hr))  # traced in the policy of its networks
    keras.config.set_dtype_policy("float32")
    return lambda: processor_time(lambda: step((lr, hr))["norm_pixel"].numpy())


def torch_step(python, threads, layout, precision, batch):
    """Return a function that has a process of another Python do one step and returns the processor time of that."""
    twin = Path(__file__).with_name("training_step_torch.py")
    command = [python, twin, str(threads), layout, precision, str(batch)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def step():
        print(file=process.stdin, flush=True)
        seconds = process.stdout.readline()
        if not seconds:
            raise RuntimeError(f"{twin} ended. Is PyTorch installed in {python}?")
        return float(seconds)

    return step


def gigaflops(batch, critic_products):
    """Return the arithmetic of one step's convolutions and dense layers, 2 a multiply-add.

    Args:
        batch: images.
        critic_products: passes through the discriminator, forward or backward.
    """
    generator = multiplications(srresnet(scale=SCALE, image_skip="none"), PATCH // SCALE)
    critic = multiplications(discriminator(patch=PATCH, batch_norm=False, use_bias=False), PATCH)
    vgg = multiplications(features(PATCH, LAST_ACTIVATIONS), PATCH)
    # Generator: forward and two backward products. Features: HR, SR, gradient.
    return 2e-9 * batch * (3 * generator + 3 * vgg + critic_products * critic)


def take_turns(contestants, repetitions):
    """Call every function once a round; return its wall and processor times in seconds, without two first rounds."""
    times = {name: [] for name in contestants}
    for _ in range(2 + repetitions):
        for name, function in contestants.items():
            start = time.perf_counter()
            used = function()
            times[name].append((time.perf_counter() - start, used))
    return {name: list(zip(*pairs[2:], strict=True)) for name, pairs in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-python", help="a Python with PyTorch; without it only TensorFlow is measured")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--default-layout", action="store_true", help="measure PyTorch's default layout too")
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    contestants = {"matrix": matrix_product()}
    for precision in ("float32", "mixed_bfloat16"):
        contestants[f"msrgan {precision}"] = training_step(precision, args.batch)
        for layout in ("channels_last", "default")[: 1 + args.default_layout] if args.torch_python else ():
            name = f"PyTorch {layout} {precision}"
            contestants[name] = torch_step(args.torch_python, args.threads, layout, precision, args.batch)
    if not args.torch_python:
        print("PyTorch skipped: name a Python that has it with --torch-python.")

    times = take_turns(contestants, args.repetitions)
    rate = 2e-9 * MATRIX**3 / min(times.pop("matrix")[0])
    print(f"{args.threads} threads; float32 matrix product: {rate:.0f} GFLOP/s at best")
    ours = {kind: statistics.median(seconds) for kind, seconds in enumerate(times["msrgan float32"])}
    for name, (wall, used) in times.items():
        # Two passes forward and twice two products backward; the gradient of the adversarial loss comes with them
        # in msrgan (`SRGAN._through_discriminator`), by a pass of its own in PyTorch.
        work = gigaflops(args.batch, 6 if name.startswith("msrgan") else 7)
        speed = work / min(wall)
        print(
            f"{name:36s} {statistics.median(wall):6.3f} s a step (least {min(wall):.3f}), processor "
            f"{statistics.median(used):6.3f} s (least {min(used):.3f}), {work:.0f} GFLOP at {speed:4.0f} GFLOP/s = "
            f"{speed / rate:.2f} of the matrix rate; times msrgan's in float32: "
            f"{statistics.median(wall) / ours[0]:.2f}, processor {statistics.median(used) / ours[1]:.2f}"
        )


if __name__ == "__main__":
    main()
