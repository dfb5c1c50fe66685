"""Training steps and inference of every variant on an accelerator, as a table in Markdown.

With TensorFlow: whole training steps, several in a call as in a training, and inference with batch norm folded as in an
export, with XLA and without. With JAX, also where TensorFlow is not installed: each network alone, forward, and forward
and backward.

    python benchmarks/gpu.py                        # TensorFlow
    KERAS_BACKEND=jax python benchmarks/gpu.py      # JAX, which always compiles with XLA

Enlargement 4x, random images and weights. GFLOP are those of the textbook's convolutions and dense layers, 2 a
multiply-add. Their rate is also given as a share of that of a matrix product of the same precision, measured first; a
framework may multiply float32 with the 10 bits of TensorFloat-32, in both alike.
"""

import argparse
import gc
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
from timing import take_turns

from msrgan.networks import fold_batch_norm
from msrgan.training.variants import VARIANTS, complete
from vgg_micro.network import vgg19_micro

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
SCALE, VGG_WIDTH = 4, 1.0
HEADER = ("variant", "what", "precision", "XLA", "batch", "ms", "images/s", "GFLOP", "GFLOP/s", "share", "peak MB")


class Work(NamedTuple):
    """What is measured: `make()` returns (run, peak), and `run()` does it `calls` times and returns when that is done.

    `peak()` returns the bytes of memory in use at most since the last `peak()`, None where nothing tells.
    """

    what: str
    batch: int
    gflop: float
    make: Callable


class System:
    """A variant's networks, in the dtype policy in force."""

    def __init__(self, name, options):
        self.variant, self.options = VARIANTS[name], options
        chosen = {"filters": options.filters, "blocks": options.blocks}
        self.sizes, self.training, _ = complete(self.variant, chosen)

    def generator(self):
        """Return a new generator, at its start."""
        return self.variant.generator(channels=3, scale=SCALE, grid="centre", **self.sizes)

    def discriminator(self):
        """Return a new discriminator, at its start."""
        return self.variant.discriminator(channels=3, patch=self.options.patch)

    def step_gflop(self):
        """Return the arithmetic of a training step, for one image."""
        patch = self.options.patch
        products = 3 * multiplications(self.generator(), patch // SCALE)  # forward, and both gradients
        if self.variant.discriminator:
            critic = self.discriminator()
            norm = any(isinstance(layer, keras.layers.BatchNormalization) for layer in critic.layers)
            # Real and fake, forward and both gradients; with batch norm, once more to the fake image
            # (`SRGAN._through_discriminator`). Features: real, fake, gradient.
            products += (7 if norm else 6) * multiplications(critic, patch)
            products += 3 * multiplications(features(patch, self.training["vgg_layers"]), patch)
        return 2e-9 * products


def features(patch, names):
    """Return mini-VGG19 as far as some of its layers."""
    network = vgg19_micro(width=VGG_WIDTH, image_size=patch)
    return keras.Model(network.input, [network.get_layer(name).output for name in names])


def multiplications(network, size):
    """Return the multiplications in the convolutions and dense layers of a network, for one image of size x size."""
    image = keras.Input((size, size, network.input.shape[-1]))
    total = 0
    for layer in keras.models.clone_model(network, image).layers:
        if not hasattr(layer, "kernel"):
            continue
        # A kernel is applied once at each place of its output; of its input, where it enlarges that.
        places = math.prod((layer.input if "Transpose" in type(layer).__name__ else layer.output).shape[1:-1])
        phases = 4 if type(layer).__name__ in ("PhaseConv2D", "NearestConv2D") else 1
        total += places * phases * math.prod(layer.kernel.shape)
    return total


class TensorFlow:
    """TensorFlow: whole training steps, and inference."""

    xla = (False, True)

    def __init__(self):
        import tensorflow as tf

        self.tf, self.gpus = tf, tf.config.list_physical_devices("GPU")
        for gpu in self.gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", "a GPU") for gpu in self.gpus]
        self.device = f"TensorFlow {tf.__version__} on {(names or ['a CPU'])[0]}"
        self.error = tf.errors.OpError  # memory is exhausted, or XLA knows no such operation

    def product(self, precision, size):
        """Return a function that multiplies two matrices of size x size, and returns when that is done."""
        matrix = self.tf.cast(self.tf.random.normal((size, size)), precision)
        return lambda: self.tf.matmul(matrix, matrix)[0, 0].numpy()

    def work(self, name, options, xla) -> Iterator[Work]:
        """Return what is measured of a variant."""
        system = System(name, options)
        gflop = system.step_gflop()
        for n in options.batches:
            yield Work("training step", n, n * gflop, lambda n=n: (self._step(system, n, xla), self._peak))
        gflop = 2e-9 * multiplications(system.generator(), options.size)
        for n in options.images:
            yield Work("inference", n, n * gflop, lambda n=n: (self._inference(system, n, xla), self._peak))

    def _step(self, system, batch, xla):
        from msrgan.training.build import build
        from msrgan.training.calls import compiled
        from vgg_micro.features import micro

        tf, patch, layers = self.tf, system.options.patch, system.training["vgg_layers"]
        about = {"channels": 3, "scale": SCALE, "grid": "centre", "patch": patch, "pretrain_steps": 0, "steps": 10**6}
        vgg = layers and micro(vgg19_micro(width=VGG_WIDTH, image_size=patch), layers=layers)
        model = build(system.variant, system.sizes, system.training, features=vgg, **about)
        step = model.train_step if model.discriminator else model.pretrain_step
        call = compiled(step, tf.distribute.get_strategy(), after=model.update_average, jit=xla)
        shapes = (batch, patch // SCALE, patch // SCALE, 3), (batch, patch, patch, 3)
        pair = tuple(tf.random.uniform(shape, -1, 1) for shape in shapes)
        batches, steps = iter(tf.data.Dataset.from_tensors(pair).repeat()), tf.constant(system.options.calls)
        return lambda: call(batches, steps)["pixel"].numpy()

    def _inference(self, system, batch, xla):
        network = fold_batch_norm(system.generator())
        upscale = self.tf.function(lambda lr: network(lr, training=False), jit_compile=xla)
        lr = self.tf.random.uniform((batch, system.options.size, system.options.size, 3), -1, 1)

        def run():
            for _ in range(system.options.calls):
                sr = upscale(lr)
            return sr[0, 0, 0, 0].numpy()

        return run

    def _peak(self):
        if not self.gpus:
            return None
        peak = self.tf.config.experimental.get_memory_info("GPU:0")["peak"]
        self.tf.config.experimental.reset_memory_stats("GPU:0")
        return peak


class Jax:
    """JAX: each network alone, forward, and forward and backward."""

    xla = (True,)

    def __init__(self):
        import jax

        self.jax, device = jax, jax.devices()[0]
        self.device = f"JAX {jax.__version__} on {'a CPU' if device.platform == 'cpu' else device.device_kind}"
        self.error = jax.errors.JaxRuntimeError

    def product(self, precision, size):
        """Return a function that multiplies two matrices of size x size, and returns when that is done."""
        matrix = self.jax.random.normal(self.jax.random.key(0), (size, size)).astype(precision)
        multiply = self.jax.jit(lambda a: a @ a)
        return lambda: multiply(matrix).block_until_ready()

    def work(self, name, options, xla) -> Iterator[Work]:
        """Return what is measured of a variant."""
        system = System(name, options)
        generator = system.generator()
        yield from self._passes("generator", generator, options.patch // SCALE, options.batches, options.calls)
        if system.variant.discriminator:
            critic, vgg = system.discriminator(), features(options.patch, system.training["vgg_layers"])
            yield from self._passes("discriminator", critic, options.patch, options.batches, options.calls)
            yield from self._passes("VGG", fold_batch_norm(vgg), options.patch, options.batches, options.calls, False)
        inference = self._passes("", fold_batch_norm(generator), options.size, options.images, options.calls)
        yield from (work._replace(what="inference") for work in inference if "backward" not in work.what)

    def _passes(self, what, network, size, batches, calls, trained=True):
        """Return the passes through a network; backward to the image, and to the weights where it is `trained`."""
        jax, gflop = self.jax, 2e-9 * multiplications(network, size)
        weights = [v.value for v in network.trainable_variables], [v.value for v in network.non_trainable_variables]

        def forward(image, trainable, fixed):
            return network.stateless_call(trainable, fixed, image, training=trained)[0]

        def loss(*arguments):
            return sum(jax.numpy.square(y.astype("float32")).mean() for y in jax.tree.leaves(forward(*arguments)))

        backward = jax.grad(loss, argnums=(0, 1) if trained else 0)
        for n in batches:
            image = jax.random.uniform(jax.random.key(0), (n, size, size, network.input.shape[-1]), minval=-1)
            for passes, function, products in (
                (f"{what} forward", forward, 1),
                (f"{what} forward and backward", backward, 3 if trained else 2),
            ):
                make = self._maker(function, (image, *weights), calls)
                yield Work(passes.strip(), n, products * n * gflop, make)

    def _maker(self, function, arguments, calls):
        def make():
            compiled = self.jax.jit(function).lower(*arguments).compile()
            memory = compiled.memory_analysis()

            def run():
                for _ in range(calls):
                    result = compiled(*arguments)
                return self.jax.block_until_ready(result)

            used = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
            return run, lambda: used

        return make


def measure(engine, work, options, rate):
    """Return the last columns of a row."""
    gc.collect()  # what was measured before is no longer in memory
    try:
        run, peak = work.make()
        run()
        peak()
        seconds = take_turns({"": run}, options.repetitions)[""][0] / options.calls
        memory = peak()
    except engine.error as error:
        return [f"no result: {str(error).splitlines()[0][:60]}", "", f"{work.gflop:.3g}", "", "", ""]
    speed = work.gflop / seconds
    columns = [f"{x:.3g}" for x in (1e3 * seconds, work.batch / seconds, work.gflop, speed)]
    return [*columns, f"{speed / rate:.2f}", "" if memory is None else f"{memory / 1e6:.0f}"]


def parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    add("--precisions", nargs="+", choices=POLICIES, default=list(POLICIES))
    add("--batches", type=int, nargs="+", default=[16, 64], help="patches in a training step (%(default)s)")
    add("--images", type=int, nargs="+", default=[1, 16], help="images of an inference (%(default)s)")
    add("--patch", type=int, default=96, help="side of the patches (%(default)s)")
    add("--size", type=int, default=128, help="side of the images before they are enlarged (%(default)s)")
    add("--filters", type=int, help="of the generators (as published)")
    add("--blocks", type=int, help="of the generators (as published)")
    add("--calls", type=int, default=20, help="of which one has to wait for the device (%(default)s)")
    add("--matrix", type=int, default=8192, help="side of the matrices (%(default)s)")
    add("--repetitions", type=int, default=5)
    return parser


def main():
    options = parser().parse_args()
    engine = Jax() if keras.backend.backend() == "jax" else TensorFlow()
    print(
        f"{engine.device}, Keras {keras.__version__}; medians of {options.repetitions} times {options.calls} calls.\n"
    )
    rates = {}
    for precision in options.precisions:
        product = take_turns({"": engine.product(precision, options.matrix)}, options.repetitions)[""][1]
        rates[precision] = 2e-9 * options.matrix**3 / product
    print("Matrix product: " + ", ".join(f"{name} {rate:.4g} GFLOP/s" for name, rate in rates.items()) + ".\n")
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}", flush=True)
    for precision in options.precisions:
        keras.config.set_dtype_policy(POLICIES[precision])
        for name in options.variants:
            for xla in engine.xla:
                for work in engine.work(name, options, xla):
                    about = [name, work.what, precision, "on" if xla else "off", str(work.batch)]
                    row = about + measure(engine, work, options, rates[precision])
                    print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
