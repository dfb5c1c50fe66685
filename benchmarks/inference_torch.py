"""The textbook networks of `inference.py` in PyTorch, channels last, eager or compiled.

`inference.py` starts it. It answers each line on its standard input with the seconds that one image took.
"""

import argparse
import json
import sys
import time
from pathlib import Path


def network_of(steps, weights):
    """Return the module of a program of `textbook.program`: (B, C, H, W) in [0, 1] to the same, enlarged."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.values = nn.ParameterDict({k: nn.Parameter(torch.from_numpy(v)) for k, v in weights.items()})

        def step(self, kind, inputs, arguments, names):
            x, values = inputs[0], [self.values[name] for name in names]
            if kind == "Conv2D":
                return functional.conv2d(x, *values, padding="same")
            if kind == "PReLU":
                return functional.prelu(x, values[0].reshape(-1))
            if kind == "LeakyReLU":
                return functional.leaky_relu(x, arguments["negative_slope"])
            if kind == "DepthToSpace":
                return functional.pixel_shuffle(x, arguments["block_size"])
            if kind == "UpSampling2D":
                return functional.interpolate(x, scale_factor=2, mode="nearest")
            if kind == "Bicubic":  # with antialias its kernel is Keys' of -0.5, as TensorFlow's
                return functional.interpolate(x, scale_factor=arguments["scale"], mode="bicubic", antialias=True)
            if kind == "Rescaling":
                return x * arguments["scale"] + arguments["offset"]
            if kind == "Concatenate":
                return torch.cat(inputs, 1)
            if kind in ("Add", "Multiply"):
                return sum(inputs[1:], x) if kind == "Add" else x * inputs[1]
            return {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "relu": torch.relu, "Identity": lambda x: x}[kind](x)

        def forward(self, image):
            results = [image * 2 - 1]
            for kind, numbers, arguments, names in steps:
                results.append(self.step(kind, [results[k] for k in numbers], arguments, names))
            return (results[-1] + 1) / 2

    return Network()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of program.json, weights.npz and image.npy; result.npy is written")
    parser.add_argument("mode", choices=("eager", "compiled"))
    parser.add_argument("threads", type=int)
    parser.add_argument("clock", choices=("perf_counter", "process_time"))
    args = parser.parse_args()

    import numpy as np
    import torch

    torch.set_num_threads(args.threads)
    weights = dict(np.load(args.folder / "weights.npz"))
    network = network_of(json.loads((args.folder / "program.json").read_text()), weights)
    network = network.eval().to(memory_format=torch.channels_last)
    network = torch.compile(network) if args.mode == "compiled" else network
    clock = getattr(time, args.clock)
    image = np.load(args.folder / "image.npy")
    with torch.inference_mode():
        for _ in sys.stdin:
            start = clock()
            x = torch.from_numpy(image).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
            y = network(x).permute(0, 2, 3, 1).contiguous().numpy()
            seconds = clock() - start
            np.save(args.folder / "result.npy", y)
            print(seconds, flush=True)


if __name__ == "__main__":
    main()
