"""The training step of `training_step.py` in PyTorch: same networks, same losses, same sharing of passes.

`training_step.py` starts it. It answers each line on its standard input by one step, and by the processor time of that.
"""

import argparse
import sys
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("threads", type=int, help="of PyTorch")
    parser.add_argument("layout", choices=("channels_last", "default"), help="of images and weights in memory")
    parser.add_argument("precision", choices=("float32", "mixed_bfloat16"), help="of the convolutions")
    parser.add_argument("batch", type=int, help="images")
    args = parser.parse_args()

    import torch
    from srgan_torch import training_step

    torch.set_num_threads(args.threads)
    layouts = {"channels_last": torch.channels_last, "default": torch.contiguous_format}
    step = training_step(layouts[args.layout], args.batch, half=args.precision == "mixed_bfloat16")
    for _ in sys.stdin:
        start = time.process_time()
        step()
        print(time.process_time() - start, flush=True)


if __name__ == "__main__":
    main()
