"""The moving average of a network's weights."""

import keras
from keras import ops

MOST = 0.999


def decay(updates: keras.KerasTensor | int) -> keras.KerasTensor:
    """Return the weight of the past after a number of updates t: d(t) = min(0.999, (1 + t) / (10 + t)).

    A constant decay of 0.999 would export the initial weights after a short run: after t updates they still weigh
    0.999^t. This one begins at 1/10, and is 0.999 from t = 8990 on.
    """
    t = ops.cast(updates, "float32")
    return ops.minimum(MOST, (1 + t) / (10 + t))


def update(average: keras.Model, current: keras.Model, updates: keras.KerasTensor | int) -> None:
    """Move averaged weights towards the current ones, batch norm's statistics included.

    a <- w + d(t) (a - w) = d(t) a + (1 - d(t)) w for each weight w of the network and its average a.

    Args:
        average: whose weights are the averages.
        current: a network of the same architecture, in training.
        updates: number of updates so far, t.
    """
    d = decay(updates)
    for a, w in zip(average.weights, current.weights, strict=True):
        a.assign(w + d * (a - w))
