"""Data as it comes: sequences of batches, endless generators, weights of classes and of examples."""

import numpy as np
import tensorflow as tf

from tests.wild.registry import program


def classes(examples: int = 24) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.normal(size=(examples, 4)).astype("float32")
    return x, np.argmax(x[:, :3], axis=1)


def classifier(k, run, **options):
    layers = [k.layers.Dense(6, activation="relu"), k.layers.Dropout(0.2), k.layers.Dense(3, "softmax")]
    model = k.Sequential([k.Input((4,)), *layers])
    loss = "sparse_categorical_crossentropy"
    run.compile(model, optimizer=k.optimizers.Adam(0.01), loss=loss, **options)
    return model


@program(kerases=("keras", "tf_keras"))
def sequence_of_batches(k, run):
    """`PyDataset`, or `Sequence` in tf_keras, that shuffles itself between epochs."""
    base = getattr(k.utils, "PyDataset", None) or k.utils.Sequence

    class Batches(base):
        def __init__(self, x, y, size):
            super().__init__()
            self.x, self.y, self.size = x, y, size

        def __len__(self):
            return len(self.x) // self.size

        def __getitem__(self, index):
            chosen = slice(index * self.size, (index + 1) * self.size)
            return self.x[chosen], self.y[chosen]

        def on_epoch_end(self):
            order = np.random.permutation(len(self.x))
            self.x, self.y = self.x[order], self.y[order]

    model = classifier(k, run)
    run.fit(model, Batches(*classes(), 8), epochs=2, shuffle=False)
    return model


@program(kerases=("keras", "tf_keras"))
def endless_generator(k, run):
    x, y = classes(64)

    def batches():
        while True:
            chosen = np.random.randint(0, len(x), 8)
            yield x[chosen] + np.random.normal(0, 0.1, (8, 4)).astype("float32"), y[chosen]

    model = classifier(k, run)
    run.fit(model, batches(), steps_per_epoch=3, epochs=2)
    return model


@program()
def endless_dataset_that_augments(k, run):
    """`repeat`, augmentation by `tf.random` in `map`, a last batch that is smaller."""

    def augmented(x, y):
        return x + tf.random.normal(tf.shape(x), stddev=0.1), y

    data = tf.data.Dataset.from_tensor_slices(classes(20)).shuffle(20).map(augmented).batch(8).repeat()
    model = classifier(k, run)
    run.fit(model, data.prefetch(2), steps_per_epoch=4, epochs=2)
    return model


@program()
def generator_that_runs_dry(k, run):
    """Fewer batches than `steps_per_epoch` asks for: Keras warns and stops the epoch."""
    x, y = classes(32)
    model = classifier(k, run)
    run.fit(model, ((x[i : i + 8], y[i : i + 8]) for i in range(0, 32, 8)), steps_per_epoch=3, epochs=2)
    return model


@program(kerases=("keras", "tf_keras"))
def weighted_classes_and_examples(k, run):
    model = classifier(k, run, weighted_metrics=["accuracy"])
    x, y = classes()
    run.fit(model, x, y, epochs=2, batch_size=8, class_weight={0: 1.0, 1: 2.0, 2: 0.5})
    weights = np.random.uniform(0.1, 2, len(x)).astype("float32")
    run.fit(model, x, y, epochs=2, batch_size=8, sample_weight=weights)
    return model


@program()
def weighted_examples_in_an_own_step(k, run):
    """`train_step` unpacks the weights, as the guide on custom steps does."""

    class Weighted(k.Model):
        def train_step(self, data):
            x, y, weights = data if len(data) == 3 else (*data, None)
            with tf.GradientTape() as tape:
                predicted = self(x, training=True)
                loss = self.compute_loss(y=y, y_pred=predicted, sample_weight=weights)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, predicted, sample_weight=weights)
            return {metric.name: metric.result() for metric in self.metrics}

    inputs = k.Input((4,))
    hidden = k.layers.BatchNormalization()(k.layers.Dense(6, activation="relu")(inputs))
    model = Weighted(inputs, k.layers.Dense(3, activation="softmax")(hidden))
    run.compile(
        model,
        optimizer=k.optimizers.Adam(0.01),
        loss="sparse_categorical_crossentropy",
        weighted_metrics=["accuracy"],
    )
    x, y = classes()
    run.fit(model, x, y, sample_weight=np.linspace(0, 1, len(x)).astype("float32"), epochs=2, batch_size=8)
    return model
