"""The SRGAN model: two networks, two training steps."""

import functools
from collections.abc import Callable

import keras
import tensorflow as tf
from keras import ops

from msrgan.losses import Objective
from msrgan.training import average


class SRGAN(keras.Model):
    """A generator, a discriminator, and the moving average of the generator's weights.

    Ledig et al., arXiv 1609.04802; Gawande, TRITA-EECS-EX-2018:10. `averaged` is what is validated and
    exported: a second generator whose weights follow the first, see `average.update`.

    Args:
        generator: (B, H, W, C) -> (B, sH, sW, C), both in [-1, 1].
        discriminator: (B, sH, sW, C) -> (B, 1) logits; None for a generator that is trained on pixels only.

    Example:
        >>> import keras, msrgan
        >>> from msrgan.losses import Objective
        >>> from msrgan.networks import srcnn
        >>> model = msrgan.SRGAN(srcnn(channels=1))
        >>> model.compile(Objective(), keras.optimizers.Adam(1e-4))
        >>> lr, hr = keras.ops.zeros((2, 8, 8, 1)), keras.ops.zeros((2, 32, 32, 1))
        >>> sorted(model.pretrain_step((lr, hr)))
        ['pixel']
    """

    def __init__(self, generator: keras.Model, discriminator: keras.Model | None = None):
        super().__init__(name="srgan")
        self.generator = generator
        self.discriminator = discriminator
        self.averaged = keras.models.clone_model(generator)
        self.averaged.set_weights(generator.get_weights())
        self.averaged.trainable = False

    def compile(
        self,
        objective: Objective,
        generator_optimizer: keras.optimizers.Optimizer,
        discriminator_optimizer: keras.optimizers.Optimizer | None = None,
    ) -> None:
        """Set what is minimised and by which optimizers, which are built here (inside a strategy's scope)."""
        super().compile(optimizer=None)
        self.objective = objective
        self.generator_optimizer = generator_optimizer
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer = discriminator_optimizer
        if discriminator_optimizer is not None:
            self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    @functools.cached_property
    def upscale(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Function of batches (B, h, w, C) of any size: the averaged generator, in one graph."""
        signature = tf.TensorSpec((None, None, None, self.averaged.input.shape[-1]))
        return tf.function(lambda lr: self.averaged(lr, training=False), input_signature=[signature])

    def call(self, lr: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Super-resolve a batch with the averaged weights; with the current ones when training."""
        return self.generator(lr, training=True) if training else self.averaged(lr, training=False)

    def pretrain_step(self, batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Update the generator on the pixel loss alone (SRGAN section 3.2 starts from such a generator).

        Args:
            batch: (lr, hr), (B, h, w, C) and (B, sh, sw, C), in [-1, 1].

        Returns:
            Dict of scalars: this replica's share of the means over the global batch.
        """
        lr, hr = batch
        with tf.GradientTape() as tape:
            sr = self.generator(lr, training=True)
            loss = _share(self.objective.pixel(hr, sr))
            scaled = self.generator_optimizer.scale_loss(loss)
        weights = self.generator.trainable_variables
        self.generator_optimizer.apply(tape.gradient(scaled, weights), weights)
        return {"pixel": loss}

    def train_step(self, batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Update both networks from one pass of each image through each of them.

        The gradients of the three terms are taken at the generator's output, where their norms are logged (a
        weight that does nothing should be seen), and go through the generator as one.

        Args:
            batch: (lr, hr), (B, h, w, C) and (B, sh, sw, C), in [-1, 1].

        Returns:
            Dict of scalars: this replica's share of the means over the global batch. `pixel`, `content` and
            `adversarial` are unweighted; `norm_*` are the gradient norms of the weighted terms at the
            generator's output; `d_loss` and `d_margin` = mean D(real) - D(fake) are the discriminator's.
        """
        lr, hr = batch
        with tf.GradientTape() as generator_tape:
            sr = self.generator(lr, training=True)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(sr)
            logits = self.discriminator(hr, training=True), self.discriminator(sr, training=True)
            terms, d_loss = self._terms(hr, sr, logits)
            # Mixed precision scales a loss while it is small, then its gradient back.
            scaled = {n: self.generator_optimizer.scale_loss(_share(w * v)) for n, (w, v) in terms.items()}
            d_scaled = self.discriminator_optimizer.scale_loss(d_loss)

        adversarial = scaled.pop("adversarial")
        at_sr = {name: tape.gradient(loss, sr) for name, loss in scaled.items()}
        at_sr["adversarial"], d_gradients = self._through_discriminator(tape, sr, logits, adversarial, d_scaled)

        weights = self.generator.trainable_variables
        gradients = generator_tape.gradient(sr, weights, output_gradients=sum(at_sr.values()))
        self.generator_optimizer.apply(gradients, weights)
        self.discriminator_optimizer.apply(d_gradients, self.discriminator.trainable_variables)

        # Over R replicas of like norms the norm of the whole gradient is sqrt(R) times one of them.
        unscale = ops.sqrt(_share(1.0)) / self.generator_optimizer.scale_loss(1.0)
        norms = {f"norm_{n}": ops.sqrt(ops.sum(ops.square(g))) * unscale for n, g in at_sr.items()}
        losses = {name: _share(value) for name, (_, value) in terms.items()}
        margin = _share(ops.mean(logits[0]) - ops.mean(logits[1]))
        return losses | norms | {"d_loss": d_loss, "d_margin": margin}

    def _terms(self, hr, sr, logits):
        """Return the generator's terms as {name: (weight, mean)}, and the share of the discriminator's loss."""
        pixel, content, adversarial, alpha, beta, gamma = self.objective
        terms = {"pixel": (alpha, pixel(hr, sr))}
        if content is not None and beta:
            terms["content"] = (beta, content(hr, sr))
        around = {"mean": _global_mean, "step": self.discriminator_optimizer.iterations}
        terms["adversarial"] = (gamma, adversarial.generator(*logits, **around))
        return terms, _share(adversarial.discriminator(*logits, **around))

    def _through_discriminator(self, tape, sr, logits, g_loss, d_loss):
        """Return dG/dsr and dD/dw, the gradients of the generator's adversarial loss G and the discriminator's loss D.

        Both go back through the discriminator, with weights w and logits r = d(hr; w) and f = d(sr; w), which is
        most of their cost. One way back serves both, where no sample sees another (without batch norm): image i
        reaches the losses through its own logit f_i alone, so that

            (1)  dD/dw    = (dr/dw)' dD/dr + (df/dw)' dD/df
            (2)  dD/dsr_i = df_i/dsr_i  dD/df_i
            (3)  dG/dsr_i = df_i/dsr_i  dG/df_i = dD/dsr_i (dG/df_i) / (dD/df_i)

        (1) and (2) are one pass, and (3) is one factor a sample.
        """
        weights = self.discriminator.trainable_variables
        if any(isinstance(layer, keras.layers.BatchNormalization) for layer in self.discriminator.layers):
            return tape.gradient(g_loss, sr), tape.gradient(d_loss, weights)
        d_at_real, d_at_fake = tape.gradient(d_loss, logits)
        g_at_fake = tape.gradient(g_loss, logits[1])
        # Where D sends nothing back, (3) would divide by zero: the least that it sends is 1e-12.
        d_at_fake = ops.where(ops.abs(d_at_fake) < 1e-12, 1e-12, d_at_fake)
        d_at_sr, *d_gradients = tape.gradient(logits, [sr, *weights], output_gradients=[d_at_real, d_at_fake])
        return d_at_sr * (g_at_fake / d_at_fake)[..., None, None], d_gradients

    def update_average(self) -> None:
        """Move the averaged weights towards the current ones; once after every step, outside the replicas."""
        average.update(self.averaged, self.generator, self.generator_optimizer.iterations)


def _share(value):
    """Divide a mean over this replica's part of the batch, so that the replicas' sum is the global mean."""
    return value / tf.distribute.get_strategy().num_replicas_in_sync


def _global_mean(values):
    """Return the mean over the batches of all replicas."""
    mean, context = ops.mean(values), tf.distribute.get_replica_context()
    return context.all_reduce("MEAN", mean) if context.num_replicas_in_sync > 1 else mean
