"""One training step of the full SRGAN objective, against the same mathematics in PyTorch on the CPU.

SRResNet of 64 filters and 16 blocks, patch 96, batch 16, 4x: MSE + 0.006 * content loss on five maps of
mini-VGG19 + 1e-5 * least-squares adversarial loss; generator and discriminator updated with Adam; random
images and weights.

    python benchmarks/training_step.py --torch-python PYTHON_THAT_HAS_TORCH

The contestants take turns in one run; medians are reported, and the rate as a share of the float32 matrix
rate of this machine, measured in between. On a busy machine use --threads 1: PyTorch's threads wait for each
other actively, and lose more than TensorFlow's when something else runs.
"""

import argparse
import os
import subprocess
from pathlib import Path

import keras
import tensorflow as tf
from timing import take_turns

from msrgan import losses
from msrgan.networks import discriminator, srresnet
from msrgan.training.step import SRGAN
from vgg_micro.features import micro
from vgg_micro.network import vgg19_micro

PATCH, BATCH, SCALE = 96, 16, 4
BETA, GAMMA = 0.006, 1e-5
MATRIX = 2048


def training_step():
    """Return a function that does one step of the library's own SRGAN."""
    keras.utils.set_random_seed(0)
    generator = srresnet(scale=SCALE, image_skip="none")
    critic = discriminator(patch=PATCH, batch_norm=False, use_bias=False)
    model = SRGAN(generator, critic)
    content = losses.content(micro(vgg19_micro(image_size=PATCH)))
    objective = losses.Objective(content=content, beta=BETA, gamma=GAMMA)
    model.compile(objective, keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-3))
    lr = tf.random.uniform((BATCH, PATCH // SCALE, PATCH // SCALE, 3), -1, 1)
    hr = tf.random.uniform((BATCH, PATCH, PATCH, 3), -1, 1)
    step = tf.function(model.train_step)
    return lambda: step((lr, hr))["norm_pixel"].numpy()


def torch_step(python, threads, layout):
    """Return a function that has a process of another Python do one step."""
    twin = Path(__file__).with_name("training_step_torch.py")
    process = subprocess.Popen(
        [python, twin, str(threads), layout], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def step():
        print(file=process.stdin, flush=True)
        if not process.stdout.readline():
            raise RuntimeError(f"{twin} ended. Is PyTorch installed in {python}?")

    return step


def gigaflops(critic_products):
    """Return the arithmetic of one step's convolutions and dense layers, 2 a multiply-add.

    Args:
        critic_products: passes through the discriminator, forward or backward.
    """
    generator = 2 * macs(srresnet(scale=SCALE, image_skip="none"), PATCH // SCALE)
    critic = 2 * macs(discriminator(patch=PATCH, batch_norm=False, use_bias=False), PATCH)
    vgg = 2 * macs(vgg19_micro(image_size=PATCH), PATCH, convolutions_only=True)
    # Generator: forward and two backward products. Features: HR, SR, gradient.
    return 1e-9 * BATCH * (3 * generator + 3 * vgg + critic_products * critic)


def macs(model, size, convolutions_only=False):
    """Return the multiply-adds of the textbook form of a network for one image of size x size."""
    total, grid = 0, {id(model.input): size}
    for layer in model.layers[1:]:
        first = layer.input[0] if isinstance(layer.input, list) else layer.input
        pixels = grid[id(first)]
        if isinstance(layer, keras.layers.Conv2D):
            pixels = -(-pixels // layer.strides[0])
            total += pixels**2 * layer.kernel.shape.num_elements()
        elif type(layer).__name__ == "PhaseConv2D":
            total += (2 * pixels) ** 2 * layer.kernel.shape.num_elements()
        elif type(layer).__name__ == "DepthToSpace":
            pixels *= layer.block_size
        elif isinstance(layer, keras.layers.MaxPooling2D):
            pixels = -(-pixels // 2)
        elif isinstance(layer, keras.layers.Dense) and not convolutions_only:
            total += layer.kernel.shape.num_elements()
        grid[id(layer.output)] = pixels
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-python", help="a Python with PyTorch; without it only TensorFlow is measured")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--default-layout", action="store_true", help="measure PyTorch's default layout too")
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    matrix = tf.random.normal((MATRIX, MATRIX))
    contestants = {"matrix": lambda: tf.matmul(matrix, matrix).numpy(), "msrgan": training_step()}
    if args.torch_python:
        for layout in ("channels_last", "default")[: 1 + args.default_layout]:
            contestants[f"PyTorch {layout}"] = torch_step(args.torch_python, args.threads, layout)
    else:
        print("PyTorch skipped: name a Python that has it with --torch-python.")

    times = take_turns(contestants, args.repetitions)
    rate = 2e-9 * MATRIX**3 / times.pop("matrix")[0]
    print(f"{args.threads} threads; float32 matrix product: {rate:.0f} GFLOP/s")
    ours = times["msrgan"][0]
    for name, (median, minimum) in times.items():
        # Two passes forward and twice two products backward; the gradient of the adversarial loss comes with them
        # in msrgan (`SRGAN._through_discriminator`), by a pass of its own in PyTorch.
        work = gigaflops(6 if name == "msrgan" else 7)
        print(
            f"{name:22s} {median:6.3f} s a step (minimum {minimum:.3f}), {work:.0f} GFLOP at {work / median:4.0f} "
            f"GFLOP/s = {work / median / rate:.2f} of the matrix rate; msrgan is {median / ours:.2f} times as fast"
        )


if __name__ == "__main__":
    main()
