"""Several training steps in one call of TensorFlow: Python waits for the device once in a call, not at every step.

A call returns what each of its steps logged, and the loop ends it where there is something else to do:

    step   1 . . . . . . . . 20 . . . . . . . . 40 . . . 52 . . .
    call  |------------------->|------------------->|------>|----
                                             validation, checkpoint or the end of a phase
"""

from collections.abc import Callable

import tensorflow as tf


def compiled(
    step: Callable,
    distribution: tf.distribute.Strategy,
    *,
    after: Callable[[], None] = lambda: None,
    jit: bool = False,
) -> Callable:
    """Compile a step into a function of several steps, which is traced once for every number of them.

    Args:
        step: maps a batch to a dict of scalars, each a replica's share of a sum.
        distribution: whose replicas take the step.
        after: follows every step, outside the replicas.
        jit: compile the step with XLA.

    Returns:
        (iterator of batches, number of steps, an int32 tensor) -> {name: float32 (steps,)}, the sums over the replicas.
    """
    replica_step = tf.function(step, jit_compile=True) if jit else step
    names = []

    def logged(batch):
        logs = replica_step(batch)
        names[:] = logs
        return tf.stack([tf.cast(value, tf.float32) for value in logs.values()])

    @tf.function
    def call(batches, steps):
        def one(k, rows):
            row = distribution.reduce("SUM", distribution.run(logged, args=(next(batches),)), axis=None)
            after()
            return k + 1, rows.write(k, row)

        rows = tf.TensorArray(tf.float32, steps)
        # A step begins with the weights that the one before it left.
        _, rows = tf.while_loop(lambda k, _: k < steps, one, (0, rows), parallel_iterations=1)
        return dict(zip(names, tf.unstack(tf.transpose(rows.stack()), num=len(names)), strict=True))

    return call
