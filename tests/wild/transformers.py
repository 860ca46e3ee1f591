"""Small transformers: a language model, a translator, experts with losses of their own."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tests.wild.registry import program

WORDS, LENGTH, WIDTH = 12, 5, 4


def _tokens(examples=24, seed=11):
    """Padded by zeros at the end."""
    random = np.random.default_rng(seed)
    tokens = random.integers(1, WORDS, (examples, LENGTH + 1))
    tokens[np.arange(LENGTH + 1) >= random.integers(3, LENGTH + 2, examples)[:, None]] = 0
    return tokens.astype("int64")


def _positional(k, **options):
    class PositionalEmbedding(k.layers.Layer):
        def __init__(self):
            super().__init__(**options)
            self.token_emb = k.layers.Embedding(WORDS, WIDTH, mask_zero=True)
            self.pos_emb = k.layers.Embedding(LENGTH, WIDTH)
            self.supports_masking = True

        def call(self, x):
            return self.token_emb(x) + self.pos_emb(tf.range(LENGTH))

        def compute_mask(self, x, mask=None):
            return self.token_emb.compute_mask(x)

    return PositionalEmbedding()


@program(kerases=("keras", "tf_keras"))
def miniature_gpt(k, run):
    """A causal mask made by hand, two outputs of which one has no loss, text made by a callback."""

    def causal_attention_mask(batch_size, n_dest, n_src):
        i, j = tf.range(n_dest)[:, None], tf.range(n_src)
        mask = tf.reshape(tf.cast(i >= j - n_src + n_dest, "int32"), [1, n_dest, n_src])
        return tf.tile(mask, tf.stack([batch_size, 1, 1]))

    class TransformerBlock(k.layers.Layer):
        def __init__(self, embed_dim, num_heads, ff_dim, rate=0.1):
            super().__init__()
            self.att = k.layers.MultiHeadAttention(num_heads, embed_dim)
            self.ffn = k.Sequential([k.layers.Dense(ff_dim, activation="relu"), k.layers.Dense(embed_dim)])
            self.norms = [k.layers.LayerNormalization(epsilon=1e-6) for _ in range(2)]
            self.dropout = k.layers.Dropout(rate)

        def call(self, inputs):
            shape = tf.shape(inputs)
            causal_mask = causal_attention_mask(shape[0], shape[1], shape[1])
            attention = self.dropout(self.att(inputs, inputs, attention_mask=causal_mask))
            out = self.norms[0](inputs + attention)
            return self.norms[1](out + self.ffn(out))

    class TextGenerator(k.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            y, _ = self.model.predict(np.ones((1, LENGTH)), verbose=0)
            assert y.shape == (1, LENGTH, WORDS)

    class Tokens(k.layers.Layer):
        def __init__(self):
            super().__init__()
            self.token_emb, self.pos_emb = k.layers.Embedding(WORDS, WIDTH), k.layers.Embedding(LENGTH, WIDTH)

        def call(self, x):
            return self.token_emb(x) + self.pos_emb(tf.range(tf.shape(x)[-1]))

    inputs = k.Input((LENGTH,), dtype="int32")
    x = TransformerBlock(WIDTH, 2, 8)(Tokens()(inputs))
    model = k.Model(inputs, [k.layers.Dense(WORDS)(x), x])
    loss_fn = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    run.compile(model, "adam", loss=[loss_fn, None])
    text = _tokens()
    dataset = tf.data.Dataset.from_tensor_slices((text[:, :-1], text[:, 1:])).shuffle(24).batch(8)
    run.fit(model, dataset, epochs=2, callbacks=[TextGenerator()])
    return model


@program()
def translation_transformer(k, run):
    """Masks pass through encoder and decoder; loss and accuracy leave the padding out; a warm-up schedule."""

    class Schedule(k.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            step = tf.cast(step, tf.float32)
            return tf.math.rsqrt(float(WIDTH)) * tf.minimum(tf.math.rsqrt(step + 1), (step + 1) * 0.1)

    class Decoder(k.layers.Layer):
        def __init__(self):
            super().__init__()
            self.causal = k.layers.MultiHeadAttention(2, WIDTH, dropout=0.1)
            self.cross = k.layers.MultiHeadAttention(2, WIDTH)
            self.norm, self.add = k.layers.LayerNormalization(), k.layers.Add()
            self.supports_masking = True

        def call(self, x, context):
            x = self.add([x, self.causal(query=x, value=x, key=x, use_causal_mask=True)])
            return self.norm(self.add([x, self.cross(query=x, key=context, value=context)]))

    class Translator(k.Model):
        def __init__(self):
            super().__init__()
            self.source, self.target = _positional(k, name="source"), _positional(k, name="target")
            self.encoder = k.layers.Dense(WIDTH, activation="relu")
            self.decoder, self.final_layer = Decoder(), k.layers.Dense(WORDS)

        def call(self, inputs):
            context, x = inputs
            return self.final_layer(self.decoder(self.target(x), self.encoder(self.source(context))))

    def masked_loss(label, pred):
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(label, tf.int32), pred)
        return loss * tf.cast(label != 0, pred.dtype)

    def masked_accuracy(label, pred):
        match = tf.cast(label, tf.int64) == tf.argmax(pred, axis=2)
        return tf.cast(match & (label != 0), tf.float32)

    model = Translator()
    optimizer = k.optimizers.Adam(Schedule(), beta_1=0.9, beta_2=0.98, epsilon=1e-9)
    run.compile(model, loss=masked_loss, optimizer=optimizer, metrics=[masked_accuracy])
    source, target = _tokens(seed=1)[:, :-1], _tokens(seed=2)
    batches = tf.data.Dataset.from_tensor_slices(((source, target[:, :-1]), target[:, 1:])).batch(8)
    run.fit(model, batches, epochs=2)
    return model


@program(kerases=("keras", "tf_keras"))
def mixture_of_experts(k, run):
    """A noisy router with a load-balancing loss by `add_loss`, in an ordinary `compile` and `fit`."""

    class Router(k.layers.Layer):
        def __init__(self, num_experts):
            super().__init__()
            self.num_experts = num_experts
            self.route = k.layers.Dense(num_experts)

        def call(self, x, training=False):
            logits = self.route(x)
            if training:
                logits += tf.random.uniform(tf.shape(logits), 0.9, 1.1)
            probabilities = tf.nn.softmax(logits, axis=-1)
            gate, index = tf.math.top_k(probabilities, k=1)
            chosen = tf.one_hot(tf.squeeze(index, -1), self.num_experts)
            density = tf.reduce_mean(chosen, axis=0) * tf.reduce_mean(probabilities, axis=0)
            self.add_loss(tf.reduce_mean(density) * float(self.num_experts**2))
            return chosen * gate

    class Switch(k.layers.Layer):
        def __init__(self, num_experts):
            super().__init__()
            self.router = Router(num_experts)
            self.experts = [k.layers.Dense(WIDTH, activation="relu") for _ in range(num_experts)]

        def call(self, x, training=False):
            dispatch = self.router(x, training=training)
            outputs = tf.stack([expert(x) for expert in self.experts], axis=1)
            return tf.reduce_sum(outputs * dispatch[:, :, None], axis=1)

    class Classifier(k.Model):
        def __init__(self):
            super().__init__()
            self.embed = k.layers.Embedding(WORDS, WIDTH)
            self.switch, self.out = Switch(3), k.layers.Dense(2, activation="softmax")

        def call(self, tokens, training=False):
            return self.out(self.switch(tf.reduce_mean(self.embed(tokens), 1), training=training))

    model = Classifier()
    run.compile(model, "adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    labels = np.arange(24) % 2
    run.fit(model, _tokens(), labels, epochs=2, batch_size=8)
    return model
