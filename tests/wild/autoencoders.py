"""Autoencoders with training steps of their own."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tests.wild.registry import program


def _images(examples=24, features=12):
    return np.random.default_rng(3).uniform(size=(examples, features)).astype("float32")


@program(kerases=("keras", "tf_keras"))
def variational_autoencoder(k, run):
    """Samples by `tf.random.normal`, tracks its losses, and has an optimizer that is built by the step."""

    class Sampling(k.layers.Layer):
        def call(self, inputs):
            mean, log_var = inputs
            return mean + tf.exp(0.5 * log_var) * tf.random.normal(tf.shape(mean))

    class VAE(k.Model):
        def __init__(self, encoder, decoder, **kwargs):
            super().__init__(**kwargs)
            self.encoder, self.decoder = encoder, decoder
            self.total_tracker = k.metrics.Mean(name="total_loss")
            self.reconstruction_tracker = k.metrics.Mean(name="reconstruction_loss")
            self.kl_tracker = k.metrics.Mean(name="kl_loss")

        @property
        def metrics(self):
            return [self.total_tracker, self.reconstruction_tracker, self.kl_tracker]

        def train_step(self, data):
            with tf.GradientTape() as tape:
                mean, log_var, z = self.encoder(data)
                reconstruction = self.decoder(z)
                squares = tf.reduce_sum(tf.square(data - reconstruction), axis=1)
                kl = -0.5 * tf.reduce_sum(1 + log_var - tf.square(mean) - tf.exp(log_var), axis=1)
                losses = tf.reduce_mean(squares), tf.reduce_mean(kl)
                total = losses[0] + losses[1]
            grads = tape.gradient(total, self.trainable_weights)
            self.optimizer.apply_gradients(zip(grads, self.trainable_weights))
            self.total_tracker.update_state(total)
            self.reconstruction_tracker.update_state(losses[0])
            self.kl_tracker.update_state(losses[1])
            return {metric.name: metric.result() for metric in self.metrics}

    x = k.Input((12,))
    hidden = k.layers.Dense(8, activation="relu")(x)
    mean, log_var = k.layers.Dense(2, name="z_mean")(hidden), k.layers.Dense(2, name="z_log_var")(hidden)
    encoder = k.Model(x, [mean, log_var, Sampling()([mean, log_var])], name="encoder")
    latent = k.Input((2,))
    out = k.layers.Dense(12, activation="sigmoid")(k.layers.Dense(8, activation="relu")(latent))
    vae = VAE(encoder, k.Model(latent, out, name="decoder"))
    run.compile(vae, optimizer=k.optimizers.Adam(0.01))
    run.fit(vae, _images(), epochs=2, batch_size=8)
    return vae


@program()
def vae_with_parts_built_by_the_step(k, run):
    """The blog-post form: layers without shapes, the optimizer by name."""

    class TinyVAE(k.Model):
        def __init__(self):
            super().__init__()
            self.encoder = k.Sequential([k.layers.Dense(8, activation="relu"), k.layers.Dense(4)])
            self.decoder = k.Sequential([k.layers.Dense(8, activation="relu"), k.layers.Dense(12)])

        def train_step(self, x):
            with tf.GradientTape() as tape:
                z = self.encoder(x, training=True)
                mean, log_var = z[:, :2], z[:, 2:]
                y = self.decoder(mean + tf.exp(0.5 * log_var) * tf.random.normal(tf.shape(mean)))
                kl = tf.reduce_mean(tf.exp(log_var) + mean**2 - 1.0 - log_var)
                loss = tf.reduce_mean((x - y) ** 2) + 0.1 * kl
            grads = tape.gradient(loss, self.trainable_weights)
            self.optimizer.apply_gradients(zip(grads, self.trainable_weights))
            return {"loss": loss}

    vae = TinyVAE()
    run.compile(vae, "adam")
    run.fit(vae, _images(), epochs=2, batch_size=8)
    return vae


@program(kerases=("keras", "tf_keras"))
def vq_vae(k, run):
    """The straight-through estimator; the codebook learns by a loss that its layer adds."""

    class VectorQuantizer(k.layers.Layer):
        def __init__(self, num_embeddings, embedding_dim, beta=0.25, **kwargs):
            super().__init__(**kwargs)
            self.embedding_dim, self.num_embeddings, self.beta = embedding_dim, num_embeddings, beta

        def build(self, shape):
            self.embeddings = self.add_weight(
                shape=(self.embedding_dim, self.num_embeddings),
                initializer="random_uniform",
                trainable=True,
                name="embeddings_vqvae",
            )
            self.built = True

        def call(self, x):
            flat = tf.reshape(x, [-1, self.embedding_dim])
            book = tf.convert_to_tensor(self.embeddings)
            distances = (
                tf.reduce_sum(flat**2, axis=1, keepdims=True)
                + tf.reduce_sum(book**2, axis=0)
                - 2 * tf.matmul(flat, book)
            )
            encodings = tf.one_hot(tf.argmin(distances, axis=1), self.num_embeddings)
            quantized = tf.reshape(tf.matmul(encodings, book, transpose_b=True), tf.shape(x))
            commitment = tf.reduce_mean((tf.stop_gradient(quantized) - x) ** 2)
            codebook = tf.reduce_mean((quantized - tf.stop_gradient(x)) ** 2)
            self.add_loss(self.beta * commitment + codebook)
            return x + tf.stop_gradient(quantized - x)

    class VQVAETrainer(k.Model):
        def __init__(self, train_variance, **kwargs):
            super().__init__(**kwargs)
            self.train_variance = train_variance
            self.vqvae = k.Sequential(
                [
                    k.Input((4, 4, 1)),
                    k.layers.Conv2D(2, 3, strides=2, padding="same", activation="relu"),
                    VectorQuantizer(4, 2, name="vector_quantizer"),
                    k.layers.Conv2DTranspose(1, 3, strides=2, padding="same"),
                ]
            )
            self.total_loss_tracker = k.metrics.Mean(name="total_loss")

        @property
        def metrics(self):
            return [self.total_loss_tracker]

        def train_step(self, x):
            with tf.GradientTape() as tape:
                reconstructions = self.vqvae(x)
                reconstruction_loss = tf.reduce_mean((x - reconstructions) ** 2) / self.train_variance
                total_loss = reconstruction_loss + sum(self.vqvae.losses)
            grads = tape.gradient(total_loss, self.vqvae.trainable_variables)
            self.optimizer.apply_gradients(zip(grads, self.vqvae.trainable_variables))
            self.total_loss_tracker.update_state(total_loss)
            return {"loss": self.total_loss_tracker.result(), "vqvae_loss": sum(self.vqvae.losses)}

    x = np.random.default_rng(4).uniform(size=(24, 4, 4, 1)).astype("float32")
    trainer = VQVAETrainer(float(np.var(x)))
    run.compile(trainer, optimizer=k.optimizers.Adam())
    run.fit(trainer, x, epochs=2, batch_size=8)
    return trainer
