"""Self-supervised learning: two random views of each example, or half of it hidden."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tests.wild.registry import program

FEATURES = 6


def _examples(examples=24):
    return np.random.default_rng(8).normal(size=(examples, FEATURES)).astype("float32")


def _view(x):
    """An augmentation by TensorFlow's own random operations."""
    x = x * tf.random.uniform((tf.shape(x)[0], 1), 0.5, 1.5) + 0.1 * tf.random.normal(tf.shape(x))
    return tf.where(tf.random.uniform(tf.shape(x)) < 0.2, 0.0, x)


def _encoder(k, width=5):
    return k.Sequential([k.layers.Dense(8, activation="relu"), k.layers.Dense(width)], name="encoder")


@program()
def sim_clr(k, run):
    """A contrastive step and a probe that learns beside it; the loader zips labelled and unlabelled data."""

    class Augmenter(k.layers.Layer):
        def call(self, x, training=None):
            return _view(x) if training else x

    class ContrastiveModel(k.Model):
        def __init__(self):
            super().__init__()
            self.temperature = 0.1
            self.contrastive_augmenter = k.Sequential([k.Input((FEATURES,)), Augmenter()])
            self.encoder = _encoder(k)
            self.projection_head = k.Sequential([k.layers.Dense(5, activation="relu"), k.layers.Dense(5)])
            self.linear_probe = k.Sequential([k.layers.Dense(3)], name="linear_probe")

        def compile(self, contrastive_optimizer, probe_optimizer, **kwargs):
            super().compile(**kwargs)
            self.contrastive_optimizer, self.probe_optimizer = contrastive_optimizer, probe_optimizer
            self.probe_loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
            self.contrastive_loss_tracker = k.metrics.Mean(name="c_loss")
            self.probe_accuracy = k.metrics.SparseCategoricalAccuracy(name="p_acc")

        @property
        def metrics(self):
            return [self.contrastive_loss_tracker, self.probe_accuracy]

        def contrastive_loss(self, one, other):
            one, other = tf.math.l2_normalize(one, axis=1), tf.math.l2_normalize(other, axis=1)
            similarities = tf.matmul(one, other, transpose_b=True) / self.temperature
            labels = tf.range(tf.shape(one)[0])
            both = similarities, tf.transpose(similarities)
            return (
                sum(k.losses.sparse_categorical_crossentropy(labels, s, from_logits=True) for s in both) / 2
            )

        def train_step(self, data):
            (unlabeled, _), (labeled, labels) = data
            x = tf.concat([unlabeled, labeled], axis=0)
            views = [self.contrastive_augmenter(x, training=True) for _ in range(2)]
            with tf.GradientTape() as tape:
                projections = [self.projection_head(self.encoder(view, training=True)) for view in views]
                contrastive_loss = self.contrastive_loss(*projections)
            weights = self.encoder.trainable_weights + self.projection_head.trainable_weights
            self.contrastive_optimizer.apply_gradients(zip(tape.gradient(contrastive_loss, weights), weights))
            self.contrastive_loss_tracker.update_state(contrastive_loss)
            with tf.GradientTape() as tape:
                features = self.encoder(self.contrastive_augmenter(labeled, training=True), training=False)
                logits = self.linear_probe(features, training=True)
                probe_loss = self.probe_loss(labels, logits)
            weights = self.linear_probe.trainable_weights
            self.probe_optimizer.apply_gradients(zip(tape.gradient(probe_loss, weights), weights))
            self.probe_accuracy.update_state(labels, logits)
            return {metric.name: metric.result() for metric in self.metrics}

        def test_step(self, data):
            labeled, labels = data
            logits = self.linear_probe(self.encoder(labeled, training=False), training=False)
            self.probe_accuracy.update_state(labels, logits)
            return {"p_acc": self.probe_accuracy.result()}

    x, labels = _examples(), np.arange(24) % 3
    labeled = tf.data.Dataset.from_tensor_slices((x[:12], labels[:12])).shuffle(12).batch(4)
    unlabeled = tf.data.Dataset.from_tensor_slices((x, labels)).shuffle(24).batch(8)
    train = tf.data.Dataset.zip((unlabeled, labeled)).prefetch(1)
    model = ContrastiveModel()
    run.compile(model, contrastive_optimizer=k.optimizers.Adam(), probe_optimizer=k.optimizers.Adam())
    run.fit(model, train, epochs=2, validation_data=labeled)
    return model


@program(kerases=("keras", "tf_keras"))
def sim_siam(k, run):
    """No negatives: the gradient stops on one side; SGD on a cosine schedule."""

    class SimSiam(k.Model):
        def __init__(self, encoder, predictor):
            super().__init__()
            self.encoder, self.predictor = encoder, predictor
            self.loss_tracker = k.metrics.Mean(name="loss")

        @property
        def metrics(self):
            return [self.loss_tracker]

        def train_step(self, data):
            ds_one, ds_two = data
            with tf.GradientTape() as tape:
                z1, z2 = self.encoder(ds_one), self.encoder(ds_two)
                p1, p2 = self.predictor(z1), self.predictor(z2)
                loss = compute_loss(p1, z2) / 2 + compute_loss(p2, z1) / 2
            learnable = self.encoder.trainable_variables + self.predictor.trainable_variables
            self.optimizer.apply_gradients(zip(tape.gradient(loss, learnable), learnable))
            self.loss_tracker.update_state(loss)
            return {"loss": self.loss_tracker.result()}

    def compute_loss(p, z):
        p, z = tf.math.l2_normalize(p, axis=1), tf.math.l2_normalize(tf.stop_gradient(z), axis=1)
        return -tf.reduce_mean(tf.reduce_sum(p * z, axis=1))

    x = tf.data.Dataset.from_tensor_slices(_examples())
    views = [x.shuffle(24, seed=2).batch(8).map(_view) for _ in range(2)]
    x = k.Input((FEATURES,))
    h = k.layers.Dense(8, use_bias=False, kernel_regularizer=k.regularizers.l2(0.0005))(x)
    encoder = k.Model(x, k.layers.BatchNormalization()(k.layers.ReLU()(h)), name="encoder")
    predictor = k.Sequential([k.Input((8,)), k.layers.Dense(3, activation="relu"), k.layers.Dense(8)])
    schedule = k.optimizers.schedules.CosineDecay(0.03, 6)
    model = SimSiam(encoder, predictor)
    run.compile(model, optimizer=k.optimizers.SGD(schedule, momentum=0.6))
    stop = k.callbacks.EarlyStopping(monitor="loss", patience=5, restore_best_weights=True)
    run.fit(model, tf.data.Dataset.zip(tuple(views)), epochs=2, callbacks=[stop])
    return model


@program()
def barlow_twins(k, run):
    """The loss is a cross-correlation matrix; the augmentation is a layer with Keras's own seeds."""

    def loss_of(z_a, z_b):
        z_a = (z_a - tf.reduce_mean(z_a, 0)) / (tf.math.reduce_std(z_a, 0) + 1e-6)
        z_b = (z_b - tf.reduce_mean(z_b, 0)) / (tf.math.reduce_std(z_b, 0) + 1e-6)
        c = tf.matmul(z_a, z_b, transpose_a=True) / tf.cast(tf.shape(z_a)[0], tf.float32)
        on_diagonal = tf.linalg.diag_part(c) - 1.0
        off_diagonal = c - tf.linalg.diag(tf.linalg.diag_part(c))
        return tf.reduce_sum(on_diagonal**2) + 5e-3 * tf.reduce_sum(off_diagonal**2)

    class BarlowModel(k.Model):
        def __init__(self):
            super().__init__()
            self.augment = k.Sequential([k.layers.GaussianNoise(0.3), k.layers.Dropout(0.2)])
            self.encoder = _encoder(k)
            self.project = k.layers.Dense(4)
            self.loss_tracker = k.metrics.Mean(name="loss")

        @property
        def metrics(self):
            return [self.loss_tracker]

        def call(self, x, training=None):
            return self.project(self.encoder(x, training=training))

        def train_step(self, x):
            views = [self.augment(x, training=True) + 0.01 * tf.random.normal(tf.shape(x)) for _ in "ab"]
            with tf.GradientTape() as tape:
                loss = loss_of(*(self(view, training=True) for view in views))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply(gradients, self.trainable_variables)
            self.loss_tracker.update_state(loss)
            return {"loss": self.loss_tracker.result()}

    model = BarlowModel()
    run.compile(model, optimizer=k.optimizers.Lamb(0.01))
    run.fit(model, _examples(), epochs=2, batch_size=8)
    return model


@program()
def nnclr(k, run):
    """A queue of features, in a variable that the step rolls on by `assign`."""

    class NNCLR(k.Model):
        def __init__(self, queue_size=16, width=4):
            super().__init__()
            self.encoder = _encoder(k, width)
            self.projection_head = k.Sequential([k.Input((width,)), k.layers.Dense(width)])
            start = tf.math.l2_normalize(tf.random.normal([queue_size, width]), axis=1)
            self.feature_queue = tf.Variable(start, trainable=False)

        def compile(self, contrastive_optimizer, **kwargs):
            super().compile(**kwargs)
            self.contrastive_optimizer = contrastive_optimizer

        def nearest_neighbour(self, projections):
            similarities = tf.matmul(projections, self.feature_queue, transpose_b=True)
            nearest = tf.gather(self.feature_queue, tf.argmax(similarities, axis=1))
            return projections + tf.stop_gradient(nearest - projections)

        def train_step(self, x):
            one, other = _view(x), _view(x)
            with tf.GradientTape() as tape:
                z1, z2 = (
                    tf.math.l2_normalize(self.projection_head(self.encoder(v)), axis=1) for v in (one, other)
                )
                logits = tf.matmul(self.nearest_neighbour(z1), z2, transpose_b=True) / 0.1
                labels = tf.range(tf.shape(x)[0])
                loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            weights = self.encoder.trainable_weights + self.projection_head.trainable_weights
            self.contrastive_optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
            kept = self.feature_queue[: -tf.shape(x)[0]]
            self.feature_queue.assign(tf.concat([z1, kept], axis=0))
            return {"c_loss": tf.reduce_mean(loss)}

    model = NNCLR()
    run.compile(model, contrastive_optimizer=k.optimizers.Adam())
    run.fit(model, _examples(), epochs=2, batch_size=8)
    return [model, model.feature_queue]


@program()
def masked_autoencoder(k, run):
    """Half of the patches are hidden at random; `compute_loss` of the step is the user's own."""

    class PatchEncoder(k.layers.Layer):
        def __init__(self, patches=4, width=4):
            super().__init__()
            self.patches, self.width = patches, width
            self.mask_token = tf.Variable(tf.random.normal([1, 3]), trainable=True)

        def build(self, shape):
            self.projection = k.layers.Dense(self.width)
            self.position = k.layers.Embedding(self.patches, self.width)

        def call(self, patches):
            order = tf.argsort(tf.random.uniform((tf.shape(patches)[0], self.patches)), axis=-1)
            masked, visible = order[:, : self.patches // 2], order[:, self.patches // 2 :]
            positions = self.position(tf.range(self.patches)[tf.newaxis])
            embedded = self.projection(patches) + positions
            return tf.gather(embedded, visible, axis=1, batch_dims=1), masked

    class MaskedAutoencoder(k.Model):
        def __init__(self):
            super().__init__()
            self.patch_encoder = PatchEncoder()
            self.encoder = k.Sequential([k.layers.LayerNormalization(), k.layers.Dense(4, activation="gelu")])
            self.decoder = k.Sequential([k.layers.Flatten(), k.layers.Dense(4 * 3)])

        def calculate_loss(self, images):
            patches = tf.reshape(images, (-1, 4, 3))
            unmasked, masked = self.patch_encoder(patches)
            decoded = tf.reshape(self.decoder(self.encoder(unmasked)), (-1, 4, 3))
            truth = tf.gather(patches, masked, axis=1, batch_dims=1)
            output = tf.gather(decoded, masked, axis=1, batch_dims=1)
            return self.compute_loss(y=truth, y_pred=output), truth, output

        def train_step(self, images):
            with tf.GradientTape() as tape:
                total_loss, truth, output = self.calculate_loss(images)
            parts = [self.patch_encoder, self.encoder, self.decoder]
            train_vars = [one for part in parts for one in part.trainable_variables]
            grads = tape.gradient(total_loss, train_vars)
            tv_list = [(g, v) for g, v in zip(grads, train_vars) if g is not None]
            self.optimizer.apply_gradients(tv_list)
            return self.compute_metrics(None, truth, output, None) | {"loss": total_loss}

    images = np.random.default_rng(1).uniform(size=(24, 12)).astype("float32")
    model = MaskedAutoencoder()
    optimizer = k.optimizers.AdamW(learning_rate=0.005, weight_decay=1e-4)
    run.compile(model, optimizer=optimizer, loss=k.losses.MeanSquaredError(), metrics=["mae"])
    run.fit(model, tf.data.Dataset.from_tensor_slices(images).batch(8), epochs=2)
    return model
