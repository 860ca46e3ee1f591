"""Names for the objects that a framework hands over.

Keras 3, tf_keras and their backends have classes of their own for each of these, none of which may be
imported here. The names say what is meant; a type checker takes any object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Model: TypeAlias = Any  # a Keras 3 or tf_keras model, or an object that trains like one
Layer: TypeAlias = Any
Optimizer: TypeAlias = Any
Variable: TypeAlias = Any  # of Keras 3, of tf_keras or of the framework below
Tensor: TypeAlias = Any  # of any framework, on any device; a NumPy array is one
Graph: TypeAlias = Any  # tf.Graph
TrainFunction: TypeAlias = Any  # what `model.train_function` holds: a function of an iterator of batches
Logs: TypeAlias = Mapping[str, Any]  # metrics by name, as Keras hands them to hooks: numbers or tensors
ArrayLike: TypeAlias = Any  # a number, nested lists, an array, or a tensor or variable of any framework
Batches: TypeAlias = Any  # the iterator that a train function gets
Batch: TypeAlias = Any  # a structure of tensors, or of their specifications
Strategy: TypeAlias = Any  # a tf.distribute.Strategy, or None
Callback: TypeAlias = Any  # of Keras 3 or of tf_keras
Node: TypeAlias = Any  # a NodeDef of a TensorFlow graph
Module: TypeAlias = Any  # a module of a framework, such as `tensorflow`
