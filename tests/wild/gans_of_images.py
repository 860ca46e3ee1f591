"""Adversarial networks with many parts: two directions at once, and parts added between fits."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tests.wild.registry import program


def _images(size=4, seed=5):
    return np.random.default_rng(seed).normal(size=(16, size, size, 1)).astype("float32")


@program()
def cycle_gan(k, run):
    """Four optimizers, one persistent tape, pairs of images from two datasets."""

    class InstanceNorm(k.layers.Layer):
        def build(self, shape):
            self.gamma = self.add_weight(shape=(shape[-1],), initializer="ones", name="gamma")

        def call(self, x):
            mean, variance = tf.nn.moments(x, [1, 2], keepdims=True)
            return self.gamma * (x - mean) * tf.math.rsqrt(variance + 1e-5)

    def generator(name):
        x = k.Input((4, 4, 1))
        h = k.layers.Conv2D(2, 3, padding="same", use_bias=False)(x)
        h = k.layers.Activation("relu")(InstanceNorm()(h))
        return k.Model(x, k.layers.Conv2D(1, 3, padding="same", activation="tanh")(h), name=name)

    def discriminator(name):
        x = k.Input((4, 4, 1))
        h = k.layers.LeakyReLU()(k.layers.Conv2D(2, 3, strides=2, padding="same")(x))
        return k.Model(x, k.layers.Conv2D(1, 2, padding="same")(h), name=name)

    class CycleGan(k.Model):
        def __init__(self, lambda_cycle=10.0, lambda_identity=0.5):
            super().__init__()
            self.gen_G, self.gen_F = generator("generator_G"), generator("generator_F")
            self.disc_X, self.disc_Y = discriminator("discriminator_X"), discriminator("discriminator_Y")
            self.lambda_cycle, self.lambda_identity = lambda_cycle, lambda_identity

        def call(self, inputs):
            return self.disc_X(inputs), self.disc_Y(inputs), self.gen_G(inputs), self.gen_F(inputs)

        def compile(self, gen_g, gen_f, disc_x, disc_y, gen_loss_fn, disc_loss_fn):
            super().compile()
            self.gen_G_optimizer, self.gen_F_optimizer = gen_g, gen_f
            self.disc_X_optimizer, self.disc_Y_optimizer = disc_x, disc_y
            self.generator_loss_fn, self.discriminator_loss_fn = gen_loss_fn, disc_loss_fn
            self.cycle_loss_fn = self.identity_loss_fn = k.losses.MeanAbsoluteError()

        def train_step(self, batch):
            real_x, real_y = batch
            with tf.GradientTape(persistent=True) as tape:
                fake_y, fake_x = self.gen_G(real_x, training=True), self.gen_F(real_y, training=True)
                cycled_x, cycled_y = self.gen_F(fake_y, training=True), self.gen_G(fake_x, training=True)
                same_x, same_y = self.gen_F(real_x, training=True), self.gen_G(real_y, training=True)
                judged = [self.disc_X(real_x), self.disc_X(fake_x), self.disc_Y(real_y), self.disc_Y(fake_y)]
                total_g = self.generator_loss_fn(judged[3]) + self._kept(real_y, cycled_y, same_y)
                total_f = self.generator_loss_fn(judged[1]) + self._kept(real_x, cycled_x, same_x)
                disc_x_loss = self.discriminator_loss_fn(judged[0], judged[1])
                disc_y_loss = self.discriminator_loss_fn(judged[2], judged[3])
            parts = (
                (total_g, self.gen_G, self.gen_G_optimizer),
                (total_f, self.gen_F, self.gen_F_optimizer),
                (disc_x_loss, self.disc_X, self.disc_X_optimizer),
                (disc_y_loss, self.disc_Y, self.disc_Y_optimizer),
            )
            for loss, part, optimizer in parts:
                grads = tape.gradient(loss, part.trainable_variables)
                optimizer.apply_gradients(zip(grads, part.trainable_variables))
            return {"G_loss": total_g, "F_loss": total_f, "D_X": disc_x_loss, "D_Y": disc_y_loss}

        def _kept(self, real, cycled, same):
            cycle = self.cycle_loss_fn(real, cycled) * self.lambda_cycle
            return cycle + self.identity_loss_fn(real, same) * self.lambda_cycle * self.lambda_identity

    mse = k.losses.MeanSquaredError()
    model = CycleGan()
    run.compile(
        model,
        *(k.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(4)),
        gen_loss_fn=lambda fake: mse(tf.ones_like(fake), fake),
        disc_loss_fn=lambda real, fake: (
            (mse(tf.ones_like(real), real) + mse(tf.zeros_like(fake), fake)) * 0.5
        ),
    )
    streams = [tf.data.Dataset.from_tensor_slices(_images(seed=seed)).shuffle(16).batch(4) for seed in (1, 2)]
    run.fit(model, tf.data.Dataset.zip(tuple(streams)), epochs=2)
    return model


@program(varies="with AVX-512, TensorFlow 2.21 gives other last bits in one of 20 runs without a logger too")
def style_gan_that_grows(k, run):
    """After each `fit` the model gets blocks for a higher resolution and is compiled again."""

    class Modulated(k.layers.Layer):
        """A convolution whose kernel is scaled by a style; draws noise for each pixel."""

        def build(self, shapes):
            (_, _, _, channels), (_, styles) = shapes
            self.kernel = self.add_weight(shape=(3, 3, channels, 2), initializer="he_normal", name="kernel")
            self.to_scale = self.add_weight(shape=(styles, channels), initializer="ones", name="to_scale")
            self.noise_weight = self.add_weight(shape=(1,), initializer="zeros", name="noise_weight")

        def call(self, inputs):
            x, style = inputs
            y = tf.nn.conv2d(x * (style @ self.to_scale)[:, None, None], self.kernel, 1, "SAME")
            noise = tf.random.normal(tf.concat([tf.shape(y)[:-1], [1]], 0))
            return tf.nn.leaky_relu(y + self.noise_weight * noise, 0.2)

    def larger(images):
        return tf.image.resize(images, [2 * size for size in images.shape[1:3]], "nearest")

    class StyleGAN(k.Model):
        def __init__(self):
            super().__init__()
            self.mapping = k.Sequential([k.layers.Dense(3, activation="relu"), k.layers.Dense(3)])
            self.g_blocks, self.to_rgb, self.d_blocks = [], [], []
            self.judge = k.layers.Dense(1)
            self.alpha = tf.Variable(1.0, trainable=False)
            self.grow()

        def grow(self):
            depth = len(self.g_blocks)
            self.g_blocks = [*self.g_blocks, Modulated(name=f"g_{depth}")]
            self.to_rgb = [*self.to_rgb, k.layers.Conv2D(1, 1, name=f"to_rgb_{depth}")]
            self.from_rgb = k.layers.Conv2D(2, 1, name=f"from_rgb_{depth}")
            self.d_blocks = [k.layers.Conv2D(2, 3, padding="same", name=f"d_{depth}"), *self.d_blocks]

        def compile(self, d_optimizer, g_optimizer, **kwargs):
            super().compile(**kwargs)
            self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer

        def generate(self, z):
            style = self.mapping(z)
            x, image = tf.ones((tf.shape(z)[0], 2, 2, 2)), None
            for block, to_rgb in zip(self.g_blocks, self.to_rgb):
                x = block([larger(x), style])
                rgb = to_rgb(x)
                image = rgb if image is None else self.alpha * rgb + (1.0 - self.alpha) * larger(image)
            return image

        def judged(self, x):
            x = self.from_rgb(x)
            for block in self.d_blocks:
                x = tf.nn.avg_pool2d(tf.nn.leaky_relu(block(x)), 2, 2, "VALID")
            return self.judge(tf.reshape(x, (tf.shape(x)[0], 2 * 2 * 2)))

        def train_step(self, real):
            size = tf.shape(real)[0]
            with tf.GradientTape() as tape:
                fake = self.generate(tf.random.normal((size, 3)))
                judged = self.judged(fake), self.judged(real)
                d_loss = tf.reduce_mean(judged[0] - judged[1]) + 0.001 * tf.reduce_mean(judged[1] ** 2)
            parts = [self.from_rgb, *self.d_blocks, self.judge]
            d_weights = [one for part in parts for one in part.trainable_weights]
            self.d_optimizer.apply_gradients(zip(tape.gradient(d_loss, d_weights), d_weights))
            with tf.GradientTape() as tape:
                g_loss = -tf.reduce_mean(self.judged(self.generate(tf.random.normal((size, 3)))))
            parts = [self.mapping, *self.g_blocks, *self.to_rgb]
            g_weights = [one for part in parts for one in part.trainable_weights]
            self.g_optimizer.apply_gradients(zip(tape.gradient(g_loss, g_weights), g_weights))
            return {"d_loss": d_loss, "g_loss": g_loss}

    class FadeIn(k.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.alpha.assign(min(1.0, 0.25 * (batch + 1)))

    model = StyleGAN()
    for size in (4, 8):
        run.compile(model, k.optimizers.Adam(1e-3, 0.0, 0.99), k.optimizers.Adam(1e-3, 0.0, 0.99))
        run.fit(model, _images(size), epochs=2, batch_size=4, callbacks=[FadeIn()])
        model.grow()
    return model
