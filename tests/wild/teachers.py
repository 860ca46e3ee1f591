"""Students that learn from a teacher, from themselves, or from data without labels."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tests.wild.registry import program

FEATURES, CLASSES = 6, 3


def _data(examples=24, seed=9):
    random = np.random.default_rng(seed)
    return random.normal(size=(examples, FEATURES)).astype("float32"), random.integers(0, CLASSES, examples)


def _classifier(k, width, name):
    layers = [k.layers.Dense(width), k.layers.LeakyReLU(), k.layers.Dropout(0.2), k.layers.Dense(CLASSES)]
    return k.Sequential([k.Input((FEATURES,)), *layers], name=name)


@program(kerases=("keras", "tf_keras"))
def distillation(k, run):
    """A teacher that was trained before and is frozen then; the student has a softened loss."""

    class Distiller(k.Model):
        def __init__(self, student, teacher):
            super().__init__()
            self.student, self.teacher = student, teacher

        def compile(
            self, optimizer, metrics, student_loss_fn, distillation_loss_fn, alpha=0.1, temperature=3
        ):
            super().compile(optimizer=optimizer, metrics=metrics)
            self.student_loss_fn, self.distillation_loss_fn = student_loss_fn, distillation_loss_fn
            self.alpha, self.temperature = alpha, temperature

        def train_step(self, data):
            x, y = data
            teacher_predictions = self.teacher(x, training=False)
            with tf.GradientTape() as tape:
                student_predictions = self.student(x, training=True)
                student_loss = self.student_loss_fn(y, student_predictions)
                softened = (
                    tf.nn.softmax(one / self.temperature)
                    for one in (teacher_predictions, student_predictions)
                )
                distillation_loss = self.distillation_loss_fn(*softened) * self.temperature**2
                loss = self.alpha * student_loss + (1 - self.alpha) * distillation_loss
            trainable_vars = self.student.trainable_variables
            self.optimizer.apply_gradients(zip(tape.gradient(loss, trainable_vars), trainable_vars))
            logs = self.compute_metrics(x, y, student_predictions, None)
            return logs | {"student_loss": student_loss, "distillation_loss": distillation_loss}

    loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    teacher, student = _classifier(k, 8, "teacher"), _classifier(k, 4, "student")
    run.compile(teacher, optimizer=k.optimizers.Adam(), loss=loss, metrics=["sparse_categorical_accuracy"])
    run.fit(teacher, *_data(), epochs=1, batch_size=8)
    teacher.trainable = False
    distiller = Distiller(student, teacher)
    run.compile(
        distiller,
        optimizer=k.optimizers.Adam(),
        metrics=[k.metrics.SparseCategoricalAccuracy()],
        student_loss_fn=loss,
        distillation_loss_fn=k.losses.KLDivergence(),
    )
    run.fit(distiller, *_data(), epochs=2, batch_size=8)
    return distiller


@program()
def consistency_training(k, run):
    """A noisy student: clean and disturbed examples side by side in one dataset; callbacks of Keras."""

    class ConsistencyTraining(k.Model):
        def __init__(self, student, teacher):
            super().__init__()
            self.student, self.teacher = student, teacher
            self.loss_tracker = k.metrics.Mean(name="total_loss")

        def compile(self, optimizer, loss, distillation_loss, temperature=2):
            super().compile(optimizer=optimizer, loss=loss)
            self.distillation_loss_fn, self.temperature = distillation_loss, temperature

        @property
        def metrics(self):
            return [self.loss_tracker]

        def train_step(self, data):
            (clean, labels), (noisy, _) = data
            clean_predictions = self.teacher(clean, training=False) / self.temperature
            with tf.GradientTape() as tape:
                noisy_predictions = self.student(noisy, training=True)
                agreement = self.distillation_loss_fn(
                    tf.nn.softmax(clean_predictions, axis=1),
                    tf.nn.softmax(noisy_predictions / self.temperature, axis=1),
                )
                total_loss = self.compute_loss(clean, labels, noisy_predictions) + agreement
            trainable_vars = self.student.trainable_variables
            gradients = tape.gradient(total_loss, trainable_vars)
            self.optimizer.apply_gradients(zip(gradients, trainable_vars))
            self.loss_tracker.update_state(total_loss)
            return {"total_loss": self.loss_tracker.result()}

    def disturbed(x, y):
        return x + 0.3 * tf.random.normal(tf.shape(x)), y

    dataset = tf.data.Dataset.from_tensor_slices(_data()).shuffle(24, seed=42).batch(8)
    both = tf.data.Dataset.zip((dataset, dataset.map(disturbed)))
    teacher, student = _classifier(k, 8, "teacher"), _classifier(k, 8, "student")
    loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    run.compile(teacher, "adam", loss)
    averaged = k.callbacks.SwapEMAWeights(swap_on_epoch=True)
    teacher.compile(k.optimizers.Adam(use_ema=True, ema_momentum=0.9), loss, run_eagerly=run.eager)
    run.fit(teacher, dataset, epochs=1, callbacks=[averaged])
    model = ConsistencyTraining(student, teacher)
    run.compile(model, k.optimizers.Adam(), loss, k.losses.KLDivergence())
    reduce = k.callbacks.ReduceLROnPlateau(monitor="total_loss", patience=0, factor=0.5, mode="min")
    run.fit(model, both, epochs=3, callbacks=[reduce])
    return model


@program()
def ada_match(k, run):
    """Two streams of data, weakly and strongly disturbed; a confidence threshold, a cosine schedule."""

    class AdaMatch(k.Model):
        def __init__(self, model, tau=0.9):
            super().__init__()
            self.model, self.tau = model, tau
            self.loss_tracker = k.metrics.Mean(name="loss")

        @property
        def metrics(self):
            return [self.loss_tracker]

        def train_step(self, data):
            (source_weak, source_strong, source_labels), (target_weak, target_strong) = data
            source, target = [source_weak, source_strong], [target_weak, target_strong]
            combined, source = tf.concat([*source, *target], 0), tf.concat(source, 0)
            with tf.GradientTape() as tape:
                combined_logits = self.model(combined, training=True)
                source_logits = self.model(source, training=False)
                size = tf.shape(source)[0]
                mixed = tf.random.uniform((size, CLASSES)) * (combined_logits[:size] - source_logits)
                final_source_logits = source_logits + mixed
                weak, strong = tf.split(combined_logits[size:], 2)
                pseudo = tf.nn.softmax(weak)
                ratio = (1e-6 + tf.reduce_mean(tf.nn.softmax(source_logits), 0)) / (
                    1e-6 + tf.reduce_mean(pseudo, 0)
                )
                aligned = pseudo * ratio / tf.reduce_sum(pseudo * ratio, 1, keepdims=True)
                threshold = self.tau * tf.reduce_mean(tf.reduce_max(tf.nn.softmax(final_source_logits), -1))
                mask = tf.cast(tf.reduce_max(aligned, axis=-1) >= threshold, tf.float32)
                labels = tf.concat([source_labels, source_labels], 0)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, final_source_logits)
                agreement = tf.nn.softmax_cross_entropy_with_logits(tf.stop_gradient(aligned), strong)
                step = tf.cast(self.optimizer.iterations, tf.float32)
                mu = 0.5 - tf.cos(tf.minimum(np.pi, 2 * np.pi * step / 6)) / 2
                loss = tf.reduce_mean(losses) + mu * tf.reduce_mean(agreement * mask)
            gradients = tape.gradient(loss, self.model.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables))
            self.loss_tracker.update_state(loss)
            return {"loss": self.loss_tracker.result()}

    def weak(x):
        return x + 0.05 * tf.random.normal(tf.shape(x))

    def strong(x):
        return weak(x) * tf.random.uniform(tf.shape(x), 0.5, 1.5)

    x, y = _data()
    source = tf.data.Dataset.from_tensor_slices((x, y.astype("int32"))).shuffle(24).batch(8)
    source = source.map(lambda x, y: (weak(x), strong(x), y))
    target = tf.data.Dataset.from_tensor_slices(_data(seed=10)[0] + 1.0).shuffle(24).batch(8)
    target = target.map(lambda x: (weak(x), strong(x)))
    net = k.Sequential([k.layers.Dense(6), k.layers.BatchNormalization(), k.layers.ReLU()])
    model = AdaMatch(k.Sequential([net, k.layers.Dense(CLASSES, kernel_regularizer="l2")]))
    schedule = k.optimizers.schedules.CosineDecay(0.03, 6)
    run.compile(model, optimizer=k.optimizers.Adam(schedule))
    run.fit(model, tf.data.Dataset.zip((source, target)).prefetch(2), epochs=2)
    return model
