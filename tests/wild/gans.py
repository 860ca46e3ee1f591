"""Generative adversarial networks: two optimizers, random latent vectors, label noise, gradient penalties."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tests.wild.registry import program

LATENT = 4


def _images(channels=1):
    return np.random.default_rng(5).normal(size=(24, 4, 4, channels)).astype("float32")


def _discriminator(k, channels=1, outputs=1):
    return k.Sequential(
        [
            k.Input((4, 4, channels)),
            k.layers.Conv2D(3, 3, strides=2, padding="same"),
            k.layers.LeakyReLU(),
            k.layers.Flatten(),
            k.layers.Dense(outputs),
        ],
        name="discriminator",
    )


def _generator(k, latent=LATENT):
    return k.Sequential(
        [
            k.Input((latent,)),
            k.layers.Dense(2 * 2 * 3),
            k.layers.LeakyReLU(),
            k.layers.Reshape((2, 2, 3)),
            k.layers.Conv2DTranspose(1, 4, strides=2, padding="same"),
        ],
        name="generator",
    )


@program(kerases=("keras", "tf_keras"), fast=True)
def gan(k, run):
    """The tutorial's DCGAN: latent vectors by `tf.random.normal`, noise on the labels, Adam twice."""

    class GAN(k.Model):
        def __init__(self, discriminator, generator, latent_dim):
            super().__init__()
            self.discriminator, self.generator = discriminator, generator
            self.latent_dim = latent_dim

        def compile(self, d_optimizer, g_optimizer, loss_fn):
            super().compile()
            self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn
            self.d_loss_metric = k.metrics.Mean(name="d_loss")
            self.g_loss_metric = k.metrics.Mean(name="g_loss")

        @property
        def metrics(self):
            return [self.d_loss_metric, self.g_loss_metric]

        def train_step(self, real_images):
            batch_size = tf.shape(real_images)[0]
            generated = self.generator(tf.random.normal((batch_size, self.latent_dim)))
            images = tf.concat([generated, real_images], axis=0)
            labels = tf.concat([tf.ones((batch_size, 1)), tf.zeros((batch_size, 1))], axis=0)
            labels += 0.05 * tf.random.uniform(tf.shape(labels))
            with tf.GradientTape() as tape:
                d_loss = self.loss_fn(labels, self.discriminator(images))
            grads = tape.gradient(d_loss, self.discriminator.trainable_weights)
            self.d_optimizer.apply_gradients(zip(grads, self.discriminator.trainable_weights))

            latent = tf.random.normal((batch_size, self.latent_dim))
            misleading = tf.zeros((batch_size, 1))
            with tf.GradientTape() as tape:
                g_loss = self.loss_fn(misleading, self.discriminator(self.generator(latent)))
            grads = tape.gradient(g_loss, self.generator.trainable_weights)
            self.g_optimizer.apply_gradients(zip(grads, self.generator.trainable_weights))
            self.d_loss_metric.update_state(d_loss)
            self.g_loss_metric.update_state(g_loss)
            return {"d_loss": self.d_loss_metric.result(), "g_loss": self.g_loss_metric.result()}

    model = GAN(_discriminator(k), _generator(k), LATENT)
    run.compile(
        model,
        d_optimizer=k.optimizers.Adam(0.0003),
        g_optimizer=k.optimizers.Adam(0.0003),
        loss_fn=k.losses.BinaryCrossentropy(from_logits=True),
    )
    run.fit(model, _images(), epochs=2, batch_size=8)
    return model


@program()
def conditional_gan(k, run):
    """Labels as further channels; data from a shuffled `tf.data.Dataset`, draws by `keras.random` too."""

    class ConditionalGAN(k.Model):
        def __init__(self):
            super().__init__()
            self.discriminator, self.generator = _discriminator(k, channels=4), _generator(k, LATENT + 3)
            self.seed_generator = k.random.SeedGenerator(1337)
            self.tracker = k.metrics.Mean(name="g_loss")

        @property
        def metrics(self):
            return [self.tracker]

        def compile(self, d_optimizer, g_optimizer, loss_fn):
            super().compile()
            self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn

        def train_step(self, data):
            images, labels = data
            size = k.ops.shape(images)[0]
            maps = k.ops.ones((1, 4, 4, 1)) * labels[:, None, None]
            noise = k.random.normal((size, LATENT), seed=self.seed_generator)
            fakes = self.generator(k.ops.concatenate([noise, labels], axis=1))
            both = k.ops.concatenate([k.ops.concatenate([one, maps], -1) for one in (fakes, images)], axis=0)
            truth = k.ops.concatenate([k.ops.ones((size, 1)), k.ops.zeros((size, 1))], axis=0)
            with tf.GradientTape() as tape:
                d_loss = self.loss_fn(truth, self.discriminator(both))
            grads = tape.gradient(d_loss, self.discriminator.trainable_weights)
            self.d_optimizer.apply_gradients(zip(grads, self.discriminator.trainable_weights))

            noise = tf.random.normal((size, LATENT))
            with tf.GradientTape() as tape:
                fakes = self.generator(k.ops.concatenate([noise, labels], axis=1))
                judged = self.discriminator(k.ops.concatenate([fakes, maps], -1))
                g_loss = self.loss_fn(k.ops.zeros((size, 1)), judged)
            grads = tape.gradient(g_loss, self.generator.trainable_weights)
            self.g_optimizer.apply_gradients(zip(grads, self.generator.trainable_weights))
            self.tracker.update_state(g_loss)
            return {"g_loss": self.tracker.result(), "d_loss": d_loss}

    labels = np.eye(3, dtype="float32")[np.arange(24) % 3]
    data = tf.data.Dataset.from_tensor_slices((_images(), labels)).shuffle(24).batch(8)
    model = ConditionalGAN()
    run.compile(
        model,
        d_optimizer=k.optimizers.Adam(0.0003),
        g_optimizer=k.optimizers.RMSprop(0.0003),
        loss_fn=k.losses.BinaryCrossentropy(from_logits=True),
    )
    run.fit(model, data, epochs=2)
    return model


@program(kerases=("keras", "tf_keras"))
def wasserstein_gan_with_gradient_penalty(k, run):
    """Three updates of the critic in a step, each with new noise and a gradient of a gradient."""

    class WGAN(k.Model):
        def __init__(self, discriminator, generator, discriminator_extra_steps=3, gp_weight=10.0):
            super().__init__()
            self.discriminator, self.generator = discriminator, generator
            self.d_steps, self.gp_weight = discriminator_extra_steps, gp_weight

        def compile(self, d_optimizer, g_optimizer, d_loss_fn, g_loss_fn):
            super().compile()
            self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer
            self.d_loss_fn, self.g_loss_fn = d_loss_fn, g_loss_fn

        def gradient_penalty(self, batch_size, real, fake):
            alpha = tf.random.uniform([batch_size, 1, 1, 1], 0.0, 1.0)
            interpolated = real + alpha * (fake - real)
            with tf.GradientTape() as tape:
                tape.watch(interpolated)
                judged = self.discriminator(interpolated, training=True)
            grads = tape.gradient(judged, [interpolated])[0]
            norm = tf.sqrt(tf.reduce_sum(tf.square(grads), axis=[1, 2, 3]) + 1e-12)
            return tf.reduce_mean((norm - 1.0) ** 2)

        def train_step(self, real):
            if isinstance(real, tuple):
                real = real[0]
            size = tf.shape(real)[0]
            for _ in range(self.d_steps):
                latent = tf.random.normal(shape=(size, LATENT))
                with tf.GradientTape() as tape:
                    fake = self.generator(latent, training=True)
                    judged = self.discriminator(fake, training=True), self.discriminator(real, training=True)
                    penalty = self.gradient_penalty(size, real, fake)
                    d_loss = self.d_loss_fn(judged[1], judged[0]) + penalty * self.gp_weight
                grads = tape.gradient(d_loss, self.discriminator.trainable_variables)
                self.d_optimizer.apply_gradients(zip(grads, self.discriminator.trainable_variables))
            latent = tf.random.normal(shape=(size, LATENT))
            with tf.GradientTape() as tape:
                g_loss = self.g_loss_fn(self.discriminator(self.generator(latent, training=True)))
            grads = tape.gradient(g_loss, self.generator.trainable_variables)
            self.g_optimizer.apply_gradients(zip(grads, self.generator.trainable_variables))
            return {"d_loss": d_loss, "g_loss": g_loss}

    model = WGAN(_discriminator(k), _generator(k))
    run.compile(
        model,
        d_optimizer=k.optimizers.Adam(0.0002, beta_1=0.5, beta_2=0.9),
        g_optimizer=k.optimizers.Adam(0.0002, beta_1=0.5, beta_2=0.9),
        d_loss_fn=lambda real, fake: tf.reduce_mean(fake) - tf.reduce_mean(real),
        g_loss_fn=lambda fake: -tf.reduce_mean(fake),
    )
    run.fit(model, _images(), epochs=2, batch_size=8)
    return model


@program()
def gan_with_adaptive_augmentation(k, run):
    """The chance of an augmentation is a variable that the step moves by what the discriminator says."""

    class Augmenter(k.layers.Layer):
        def __init__(self):
            super().__init__()
            self.probability = tf.Variable(0.1, trainable=False)

        def call(self, images):
            size = tf.shape(images)[0]
            bent = tf.where(tf.random.uniform((size, 1, 1, 1)) < 0.5, tf.reverse(images, [2]), images)
            bent = bent * tf.random.uniform((size, 1, 1, 1), 0.8, 1.2)
            return tf.where(tf.random.uniform((size, 1, 1, 1)) < self.probability, bent, images)

        def update(self, real_logits):
            signs = tf.reduce_mean(tf.cast(real_logits > 0.0, tf.float32))
            self.probability.assign(tf.clip_by_value(self.probability + (signs - 0.85) / 10.0, 0.0, 1.0))

    class AdaptiveGAN(k.Model):
        def __init__(self):
            super().__init__()
            self.augmenter = Augmenter()
            self.generator, self.discriminator = _generator(k), _discriminator(k)
            self.ema_generator = k.models.clone_model(self.generator)

        def compile(self, generator_optimizer, discriminator_optimizer, **kwargs):
            super().compile(**kwargs)
            self.generator_optimizer = generator_optimizer
            self.discriminator_optimizer = discriminator_optimizer

        def train_step(self, real):
            real = self.augmenter(real)
            with tf.GradientTape(persistent=True) as tape:
                fake = self.generator(tf.random.normal((tf.shape(real)[0], LATENT)), training=True)
                real_logits = self.discriminator(real, training=True)
                fake_logits = self.discriminator(self.augmenter(fake), training=True)
                g_loss = tf.reduce_mean(tf.nn.softplus(-fake_logits))
                d_loss = tf.reduce_mean(tf.nn.softplus(-real_logits) + tf.nn.softplus(fake_logits))
            g_grads = tape.gradient(g_loss, self.generator.trainable_weights)
            d_grads = tape.gradient(d_loss, self.discriminator.trainable_weights)
            self.generator_optimizer.apply_gradients(zip(g_grads, self.generator.trainable_weights))
            self.discriminator_optimizer.apply_gradients(zip(d_grads, self.discriminator.trainable_weights))
            self.augmenter.update(real_logits)
            for weight, ema in zip(self.generator.weights, self.ema_generator.weights):
                ema.assign(0.99 * ema + 0.01 * weight)
            return {"g_loss": g_loss, "d_loss": d_loss, "p": self.augmenter.probability.read_value()}

    model = AdaptiveGAN()
    run.compile(model, k.optimizers.Adam(0.0002, 0.5), k.optimizers.Adam(0.0002, 0.5))
    run.fit(model, _images(), epochs=2, batch_size=8)
    return [model, model.augmenter.probability]
