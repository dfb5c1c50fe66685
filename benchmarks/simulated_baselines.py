"""How hard the 13 simulated classes are: a linear classifier on histograms, and a trained mini-VGG19.

python benchmarks/simulated_baselines.py [--vgg runs/vgg]

The linear classifier sees, for each channel, the means and standard deviations, or a histogram of 32 bins
(plain or logarithmic), standardised; both are trained on the train split and scored on the test split.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from msrgan import datasets
from vgg_micro.classifier import confusion, scores
from vgg_micro.data import evaluation


def moments(image):
    """Return mean and standard deviation of each channel."""
    return np.concatenate([image.mean(axis=(0, 1)), image.std(axis=(0, 1))])


def histogram(image):
    """Return the share of the pixels in each of 32 bins, channel by channel."""
    counts = [np.histogram(image[..., c], bins=32, range=(0, 256))[0] for c in range(image.shape[-1])]
    return np.concatenate(counts) / image[..., 0].size


def log_histogram(image):
    """Return the logarithm of the histogram, in which rare bright pixels count."""
    return np.log(histogram(image) + 1e-5)


def linear_accuracy(feature, train, test, *, l2):
    """Fit multinomial logistic regression to the minimum; return its test accuracy."""
    x, test_x = (np.stack([feature(e["image"]) for e in part]) for part in (train, test))
    y, test_y = (np.array([e["label"] for e in part]) for part in (train, test))
    mean, std = x.mean(axis=0), x.std(axis=0) + 1e-8
    x, test_x = (np.pad((z - mean) / std, ((0, 0), (0, 1)), constant_values=1) for z in (x, test_x))
    wanted = np.eye(13)[y]

    def loss(flat):
        weights = flat.reshape(-1, 13)
        log_p = log_softmax(x @ weights, axis=1)
        value = -(wanted * log_p).sum() / len(x) + l2 * (weights**2).sum()
        return value, (x.T @ (np.exp(log_p) - wanted) / len(x) + 2 * l2 * weights).ravel()

    best = minimize(loss, np.zeros(x.shape[1] * 13), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return float(np.mean((test_x @ best.x.reshape(-1, 13)).argmax(axis=1) == test_y))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vgg", type=Path, help="run folder of train_vgg.py on the simulated set")
    options = parser.parse_args()
    train, test = (list(datasets.load("simulated", split).as_numpy_iterator()) for split in ("train", "test"))
    print(f"{len(train)} training and {len(test)} test fields, chance {1 / 13:.3f}")
    for feature in (moments, histogram, log_histogram):
        found = [linear_accuracy(feature, train, test, l2=l2) for l2 in (1e-4, 1e-3)]
        print(f"linear on {feature.__name__:14} " + "  ".join(f"{a:.3f}" for a in found) + "  (L2 1e-4, 1e-3)")
    if options.vgg:
        network = keras.saving.load_model(options.vgg / "vgg.keras")
        size, channels = network.input.shape[1], network.input.shape[-1]
        batches = evaluation(datasets.load("simulated", "test"), image_size=size, channels=channels, batch_size=64)
        found = scores(confusion(network, batches, 13)[0])
        print(f"mini-VGG19 of {options.vgg}: accuracy {found['accuracy']:.3f}, macro-F1 {found['macro_f1']:.3f}")


if __name__ == "__main__":
    main()
