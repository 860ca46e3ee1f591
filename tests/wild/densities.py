"""Models of densities: a normalising flow, two kinds of diffusion, a convolution that sees one side only."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tests.wild.registry import program


def _images(examples=24, size=4):
    return np.random.default_rng(6).uniform(size=(examples, size, size, 1)).astype("float32")


@program()
def real_nvp(k, run):
    """A normalising flow: masked coupling layers, the loss is the log likelihood."""

    def coupling():
        x = k.Input((2,))
        s = k.layers.Dense(4, activation="relu", kernel_regularizer=k.regularizers.L2(0.01))(x)
        t = k.layers.Dense(4, activation="relu", kernel_regularizer=k.regularizers.L2(0.01))(x)
        return k.Model(x, [k.layers.Dense(2, activation="tanh")(s), k.layers.Dense(2)(t)])

    class RealNVP(k.Model):
        def __init__(self, num_coupling_layers):
            super().__init__()
            self.num_coupling_layers = num_coupling_layers
            self.masks = np.array([[0, 1], [1, 0]] * (num_coupling_layers // 2), dtype="float32")
            self.loss_tracker = k.metrics.Mean(name="loss")
            self.layers_list = [coupling() for _ in range(num_coupling_layers)]

        @property
        def metrics(self):
            """Listed here, so that they are reset at each epoch."""
            return [self.loss_tracker]

        def call(self, x, training=True):
            log_det, direction = 0.0, -1 if training else 1
            for i in range(self.num_coupling_layers)[::direction]:
                masked, reverse = x * self.masks[i], 1 - self.masks[i]
                s, t = (out * reverse for out in self.layers_list[i](masked))
                gate = (direction - 1) / 2
                x = reverse * (x * tf.exp(direction * s) + direction * t * tf.exp(gate * s)) + masked
                log_det += gate * tf.reduce_sum(s, axis=1)
            return x, log_det

        def log_loss(self, data):
            y, log_det = self(data)
            log_prior = -0.5 * tf.reduce_sum(y**2, axis=1) - np.log(2 * np.pi)
            return -tf.reduce_mean(log_prior + log_det)

        def train_step(self, data):
            with tf.GradientTape() as tape:
                loss = self.log_loss(data + 0.01 * tf.random.normal(tf.shape(data)))
            g = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(g, self.trainable_variables))
            self.loss_tracker.update_state(loss)
            return {"loss": self.loss_tracker.result()}

        def test_step(self, data):
            self.loss_tracker.update_state(self.log_loss(data))
            return {"loss": self.loss_tracker.result()}

    model = RealNVP(num_coupling_layers=2)
    run.compile(model, optimizer=k.optimizers.Adam(learning_rate=0.001))
    run.fit(model, np.random.default_rng(0).normal(size=(32, 2)).astype("float32"), **_halves)
    return model


_halves = {"batch_size": 8, "epochs": 2, "validation_split": 0.25}


def _unet(k, name="network"):
    """Takes noisy images and a time for each."""
    image, time = k.Input((4, 4, 1)), k.Input((), dtype="int64")
    h = k.layers.Conv2D(3, 3, padding="same", activation="swish")(image)
    h = k.layers.Add()([h, k.layers.Reshape((1, 1, 3))(k.layers.Embedding(10, 3)(time))])
    down = k.layers.Conv2D(3, 3, strides=2, padding="same", activation="swish")(h)
    up = k.layers.UpSampling2D()(down)
    return k.Model([image, time], k.layers.Conv2D(1, 3, padding="same")(up), name=name)


@program(kerases=("keras", "tf_keras"))
def ddpm(k, run):
    """Denoising diffusion: a random time for each image, weights averaged within the step."""

    class DiffusionModel(k.Model):
        def __init__(self, network, ema_network, timesteps=10, ema=0.9):
            super().__init__()
            self.network, self.ema_network = network, ema_network
            self.timesteps, self.ema = timesteps, ema
            alphas = np.cumprod(1.0 - np.linspace(1e-4, 0.2, timesteps))
            self.signal = tf.constant(np.sqrt(alphas), dtype=tf.float32)
            self.spread = tf.constant(np.sqrt(1.0 - alphas), dtype=tf.float32)

        def train_step(self, images):
            batch_size = tf.shape(images)[0]
            t = tf.random.uniform(minval=0, maxval=self.timesteps, shape=(batch_size,), dtype=tf.int64)
            with tf.GradientTape() as tape:
                noise = tf.random.normal(shape=tf.shape(images), dtype=images.dtype)
                signal, spread = (
                    tf.gather(one, t)[:, None, None, None] for one in (self.signal, self.spread)
                )
                pred_noise = self.network([signal * images + spread * noise, t], training=True)
                loss = self.loss(noise, pred_noise)
            gradients = tape.gradient(loss, self.network.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.network.trainable_weights))
            for weight, ema_weight in zip(self.network.weights, self.ema_network.weights):
                ema_weight.assign(self.ema * ema_weight + (1 - self.ema) * weight)
            return {"loss": loss}

    network, ema_network = _unet(k), _unet(k, "ema_network")
    ema_network.set_weights(network.get_weights())
    model = DiffusionModel(network, ema_network)
    run.compile(model, loss=k.losses.MeanSquaredError(), optimizer=k.optimizers.Adam(2e-4))
    run.fit(model, _images(), epochs=2, batch_size=8)
    return model


@program()
def ddim(k, run):
    """Continuous times, a normaliser adapted before, moving averages, a callback that draws samples."""

    class Sinusoids(k.layers.Layer):
        def call(self, v):
            return tf.concat([tf.sin(6.28 * v), tf.cos(6.28 * v)], -1)

    class DDIM(k.Model):
        def __init__(self):
            super().__init__()
            self.normalizer = k.layers.Normalization()
            image, variance = k.Input((4, 4, 1)), k.Input((1, 1, 1))
            embedded = Sinusoids()(variance)
            h = k.layers.Concatenate()([k.layers.Conv2D(2, 1)(image), k.layers.UpSampling2D(4)(embedded)])
            h = k.layers.BatchNormalization(center=False, scale=False)(h)
            out = k.layers.Conv2D(1, 3, padding="same", kernel_initializer="zeros")(h)
            self.network = k.Model([image, variance], out, name="residual_unet")
            self.ema_network = k.models.clone_model(self.network)

        def compile(self, **kwargs):
            super().compile(**kwargs)
            self.noise_loss_tracker = k.metrics.Mean(name="n_loss")
            self.image_loss_tracker = k.metrics.Mean(name="i_loss")

        @property
        def metrics(self):
            return [self.noise_loss_tracker, self.image_loss_tracker]

        def denoise(self, noisy, noise_rates, signal_rates, training):
            network = self.network if training else self.ema_network
            pred_noises = network([noisy, noise_rates**2], training=training)
            return pred_noises, (noisy - noise_rates * pred_noises) / signal_rates

        def sample(self, number):
            rates = tf.fill((number, 1, 1, 1), 0.6), tf.fill((number, 1, 1, 1), 0.8)
            return self.denoise(tf.random.normal((number, 4, 4, 1)), *rates, training=False)[1]

        def train_step(self, images):
            images = self.normalizer(images, training=True)
            noises = tf.random.normal(shape=tf.shape(images))
            times = tf.random.uniform((tf.shape(images)[0], 1, 1, 1), 0.0, 1.0)
            angles = 0.3 + times * 1.2
            signal_rates, noise_rates = tf.cos(angles), tf.sin(angles)
            noisy = signal_rates * images + noise_rates * noises
            with tf.GradientTape() as tape:
                pred_noises, pred_images = self.denoise(noisy, noise_rates, signal_rates, training=True)
                noise_loss, image_loss = self.loss(noises, pred_noises), self.loss(images, pred_images)
            gradients = tape.gradient(noise_loss, self.network.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.network.trainable_weights))
            self.noise_loss_tracker.update_state(noise_loss)
            self.image_loss_tracker.update_state(image_loss)
            for weight, ema_weight in zip(self.network.weights, self.ema_network.weights):
                ema_weight.assign(0.99 * ema_weight + 0.01 * weight)
            return {metric.name: metric.result() for metric in self.metrics}

    model, images = DDIM(), _images()
    model.normalizer.adapt(images)
    optimizer = k.optimizers.AdamW(learning_rate=1e-3, weight_decay=1e-4)
    run.compile(model, optimizer=optimizer, loss=k.losses.MeanAbsoluteError())
    plot = k.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: model.sample(2).numpy())
    run.fit(model, tf.data.Dataset.from_tensor_slices(images).batch(8), epochs=2, callbacks=[plot])
    return model


@program(kerases=("keras", "tf_keras"))
def pixel_cnn(k, run):
    """A convolution with a mask on its kernel, in residual blocks; an ordinary `fit` on draws of pixels."""

    class PixelConvLayer(k.layers.Layer):
        def __init__(self, mask_type, **kwargs):
            super().__init__()
            self.mask_type = mask_type
            self.conv = k.layers.Conv2D(**kwargs)

        def build(self, input_shape):
            self.conv.build(input_shape)
            shape = tuple(self.conv.kernel.shape)
            self.mask = np.zeros(shape=shape, dtype="float32")
            self.mask[: shape[0] // 2, ...] = 1.0
            self.mask[shape[0] // 2, : shape[1] // 2, ...] = 1.0
            if self.mask_type == "B":
                self.mask[shape[0] // 2, shape[1] // 2, ...] = 1.0
            self.built = True

        def call(self, inputs):
            kernel = tf.convert_to_tensor(self.conv.kernel) * self.mask
            return tf.nn.relu(tf.nn.conv2d(inputs, kernel, 1, "SAME") + self.conv.bias)

    inputs = k.Input((4, 4, 1))
    x = PixelConvLayer(mask_type="A", filters=2, kernel_size=3)(inputs)
    for _ in range(2):
        h = k.layers.Conv2D(2, 1, activation="relu")(x)
        x = k.layers.add([x, PixelConvLayer(mask_type="B", filters=2, kernel_size=3)(h)])
    out = k.layers.Conv2D(1, 1, activation="sigmoid")(k.layers.Dropout(0.2)(x))
    model = k.Model(inputs, out)
    run.compile(model, optimizer=k.optimizers.Adam(learning_rate=0.0005), loss="binary_crossentropy")
    pixels = (_images() > 0.5).astype("float32")
    run.fit(model, x=pixels, y=pixels, batch_size=8, epochs=2, validation_split=0.25)
    return model
