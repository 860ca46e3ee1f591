"""Recurrent cells of the user's own, attention over a graph, ragged batches."""

import numpy as np
import tensorflow as tf

from tests.wild.registry import program


@program(kerases=("keras", "tf_keras"))
def own_recurrent_cell(k, run):
    """A cell with a mask of dropout that it draws itself, within the loop of the RNN layer."""

    class MinimalCell(k.layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.units = self.state_size = units

        def build(self, shape):
            self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 2 * self.units))
            self.recurrent = self.add_weight(
                name="recurrent", shape=(self.units, self.units), initializer="orthogonal"
            )
            self.bias = self.add_weight(name="bias", shape=(2 * self.units,), initializer="zeros")
            self.built = True

        def call(self, inputs, states, training=False):
            (before,) = states
            gate, new = tf.split(tf.matmul(inputs, self.kernel) + self.bias, 2, axis=-1)
            forget = tf.sigmoid(gate + tf.matmul(before, self.recurrent))
            after = forget * before + (1 - forget) * tf.tanh(new)
            return after, [after]

    inputs = k.Input((6, 3))
    hidden = k.layers.RNN(MinimalCell(4), return_sequences=True)(k.layers.Dropout(0.2)(inputs))
    model = k.Model(inputs, k.layers.Dense(1)(k.layers.RNN(MinimalCell(3))(hidden)))
    run.compile(model, optimizer=k.optimizers.RMSprop(0.01), loss="mse")
    x = np.random.normal(size=(16, 6, 3)).astype("float32")
    run.fit(model, x, x.sum((1, 2))[:, None], epochs=2, batch_size=4)
    return model


@program(kerases=("keras", "tf_keras"))
def graph_attention(k, run):
    """Nodes attend to their neighbours; the graph sits in the model, a batch is a set of nodes."""

    class Attention(k.layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.units = units

        def build(self, shape):
            self.kernel = self.add_weight(
                name="kernel", shape=(shape[0][-1], self.units), initializer="glorot_uniform"
            )
            self.score = self.add_weight(
                name="score", shape=(2 * self.units, 1), initializer="glorot_uniform"
            )
            self.built = True

        def call(self, inputs):
            states, edges = inputs
            states = tf.matmul(states, self.kernel)
            ends = tf.reshape(tf.gather(states, edges), (-1, 2 * self.units))
            scores = tf.squeeze(tf.nn.leaky_relu(tf.matmul(ends, self.score)), -1)
            scores = tf.exp(tf.clip_by_value(scores, -2, 2))
            nodes = tf.shape(states)[0]
            totals = tf.math.unsorted_segment_sum(scores, edges[:, 0], nodes)
            shares = scores / tf.gather(totals, edges[:, 0])
            messages = tf.gather(states, edges[:, 1]) * shares[:, None]
            return tf.math.unsorted_segment_sum(messages, edges[:, 0], nodes)

    class GraphModel(k.Model):
        def __init__(self, states, edges):
            super().__init__()
            self.states, self.edges = tf.constant(states), tf.constant(edges)
            self.before = k.layers.Dense(4, activation="relu")
            self.heads = [Attention(4), Attention(4)]
            self.after = k.layers.Dense(3)

        def call(self, inputs):
            states, edges = inputs
            hidden = self.before(states)
            for head in self.heads:
                hidden = hidden + tf.nn.relu(head([hidden, edges]))
            return self.after(hidden)

        def train_step(self, data):
            chosen, labels = data
            with tf.GradientTape() as tape:
                logits = tf.gather(self([self.states, self.edges], training=True), chosen)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, self.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_weights))
            return {"loss": loss}

    nodes = np.random.normal(size=(16, 5)).astype("float32")
    edges = np.concatenate([np.random.randint(0, 16, (30, 2)), np.arange(16)[:, None].repeat(2, 1)])
    model = GraphModel(nodes, edges.astype("int32"))
    model([model.states, model.edges])
    run.compile(model, optimizer=k.optimizers.Adam(0.01))
    run.fit(model, np.arange(16), np.argmax(nodes[:, :3], 1), epochs=2, batch_size=4)
    return model


@program(kerases=("keras", "tf_keras"))
def ragged_batches(k, run):
    """Sentences of different lengths from `tf.data`, padded where the model needs them dense."""

    class Tagger(k.Model):
        def __init__(self):
            super().__init__()
            self.embed = k.layers.Embedding(12, 4)
            self.out = k.layers.Dense(1)

        def call(self, tokens):
            mask = tf.cast(tokens > 0, "float32")[..., None]
            return self.out(tf.reduce_sum(self.embed(tokens) * mask, 1) / tf.reduce_sum(mask, 1))

        def train_step(self, data):
            sentences, y = data
            with tf.GradientTape() as tape:
                logits = self(sentences.to_tensor(), training=True)
                loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y, logits))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
            return {"loss": loss}

    lengths = np.random.randint(2, 7, 16)
    sentences = tf.ragged.constant([np.random.randint(1, 12, length).tolist() for length in lengths])
    y = (lengths[:, None] > 4).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((sentences, y)).shuffle(16).ragged_batch(4)
    model = Tagger()
    model(np.ones((1, 3), "int32"))
    run.compile(model, optimizer=k.optimizers.Adam(0.01))
    run.fit(model, data, epochs=2)
    return model
