"""How far a run is, saved with every checkpoint."""

import json

import tensorflow as tf


class Progress(tf.train.experimental.PythonState):
    """How far a run is: plain values.

    Attributes:
        step: steps done.
        epoch: epochs done.
        totals: sums of the logs since the last epoch's end.
        count: steps that they sum.
        memory: what callbacks keep from epoch to epoch.
    """

    _SAVED = ("step", "epoch", "totals", "count", "memory")

    def __init__(self):
        self.step, self.epoch, self.totals, self.count, self.memory = 0, 0, {}, 0, {}

    def serialize(self) -> str:
        """Return the values as JSON."""
        return json.dumps({name: getattr(self, name) for name in self._SAVED})

    def deserialize(self, string: str) -> None:
        """Take the values from JSON."""
        vars(self).update(json.loads(string))

    def add(self, logs: dict[str, float]) -> None:
        """Count a step and its logs."""
        self.step += 1
        self.count += 1
        self.totals = {name: self.totals.get(name, 0.0) + value for name, value in logs.items()}

    def end_epoch(self) -> None:
        """Count an epoch, and begin the sums anew."""
        self.totals, self.count = {}, 0
        self.epoch += 1
