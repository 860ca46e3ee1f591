"""A training by several worker processes, each of which runs `main`.

Run it by `run`, which sets what a cluster sets: `TF_CONFIG`, an address for JAX, or `RANK`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any

from tests.processes import ROOT, module_command

TIMEOUT = 240  # seconds


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def environments(kind: str, count: int) -> list[dict[str, str]]:
    """The environment of each worker."""
    ports = free_ports(count)
    addresses = [f"127.0.0.1:{port}" for port in ports]
    tasks = [{"cluster": {"worker": addresses}, "task": {"type": "worker", "index": n}} for n in range(count)]
    common = {"tf_keras": "tensorflow", "jax": "jax", "torch": "torch"}[kind]
    return [
        {
            "KERAS_BACKEND": common,
            **({"TF_CONFIG": json.dumps(task)} if kind == "tf_keras" else {}),
            **({"WORKER": str(n), "WORKERS": str(count), "ADDRESS": addresses[0]} if kind == "jax" else {}),
            **({"RANK": str(n), "WORLD_SIZE": str(count)} if kind == "torch" else {}),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(ports[0]),
        }
        for n, task in enumerate(tasks)
    ]


def start(kind: str, count: int, directory: str, **options: Any) -> list[subprocess.Popen]:
    """Start all workers."""
    command = module_command("tests.workers", kind, directory, json.dumps(options))
    processes = []
    for variables in environments(kind, count):
        output = tempfile.TemporaryFile("w+")  # noqa: SIM115  # read when the process has ended
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1", **variables}
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        process.output = output  # type: ignore[attr-defined]
        processes.append(process)
    return processes


def results(processes: list[subprocess.Popen]) -> list[dict[str, Any]]:
    """Wait for all workers, and read what each of them printed last."""
    deadline = time.monotonic() + TIMEOUT
    found = []
    try:
        for process in processes:
            code = process.wait(max(1.0, deadline - time.monotonic()))
            process.output.seek(0)
            text = process.output.read()
            assert code == 0, text[-4000:]
            found.append(json.loads([line for line in text.splitlines() if line.startswith("{")][-1]))
    finally:
        kill(processes)
    return found


def run(kind: str, count: int, directory: str, **options: Any) -> list[dict[str, Any]]:
    return results(start(kind, count, directory, **options))


def kill(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
        process.output.close()


def tf_keras(directory: str, options: dict[str, Any]) -> Any:
    import tensorflow as tf
    import tf_keras as keras

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    with strategy.scope():
        keras.utils.set_random_seed(1)
        layers = [keras.layers.Dense(8, activation="tanh", name="hidden"), keras.layers.Dense(1, name="out")]
        model = keras.Sequential([keras.Input((6,)), *layers], name="net")
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    x, y = data()
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
    sharding = tf.data.Options()
    sharding.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return model, (dataset.with_options(sharding),), keras


def jax(directory: str, options: dict[str, Any]) -> Any:
    sys.modules["tensorflow"] = None  # type: ignore[assignment]  # as if it were not installed
    import keras

    number, count = int(os.environ["WORKER"]), int(os.environ["WORKERS"])
    keras.distribution.initialize(os.environ["ADDRESS"], count, number)
    devices = keras.distribution.list_devices()
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    )
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(8, activation="tanh", name="hidden"), keras.layers.Dense(1, name="out")]
    model = keras.Sequential([keras.Input((6,)), *layers], name="net")
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    return model, data(), keras


def torch(directory: str, options: dict[str, Any]) -> Any:
    """Each process trains on its share of every batch, and PyTorch averages the gradients."""
    sys.modules["tensorflow"] = None  # type: ignore[assignment]  # as if it were not installed
    import keras
    import torch
    import torch.distributed

    torch.distributed.init_process_group("gloo")
    rank, count = torch.distributed.get_rank(), torch.distributed.get_world_size()

    class Distributed(keras.Model):
        def __init__(self, inner):
            super().__init__(name="net")
            self.inner = inner
            # Past Keras, which would take it for a layer.
            vars(self)["parallel"] = torch.nn.parallel.DistributedDataParallel(inner)

        def call(self, x):
            return self.inner(x)

        def train_step(self, data):
            x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
            self.zero_grad()
            loss = self.compute_loss(x=x, y=y, y_pred=self.parallel(x))
            loss.backward()
            with torch.no_grad():
                self.optimizer.apply(
                    [one.value.grad for one in self.trainable_weights], self.trainable_weights
                )
            return self.compute_metrics(x, y, None)

    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(8, activation="tanh", name="hidden"), keras.layers.Dense(1, name="out")]
    model = Distributed(keras.Sequential([keras.Input((6,)), *layers]))
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    share = slice(rank * 16 // count, (rank + 1) * 16 // count)
    return (
        model,
        [one.reshape(-1, 16, one.shape[-1])[:, share].reshape(-1, one.shape[-1]) for one in data()],
        keras,
    )


def data() -> Any:
    import numpy as np

    draw = np.random.default_rng(3)
    x = draw.normal(size=(64, 6)).astype("float32")
    return x, (x @ draw.normal(size=(6, 1))).astype("float32")


def main(kind: str, directory: str, options: dict[str, Any]) -> None:
    import numpy as np

    model, given, keras = {"tf_keras": tf_keras, "jax": jax, "torch": torch}[kind](directory, options)
    from tbx_keras import TbxLogger

    callbacks = []
    if options.get("backup"):
        callbacks.append(keras.callbacks.BackupAndRestore(f"{directory}/backup"))
    chief_only = options.get("chief_only") and '"index": 0' not in os.environ.get("TF_CONFIG", "")
    logger = None
    if not chief_only and options.get("logger", True):
        logger = TbxLogger(
            f"{directory}/logs", gradient_freq=1, update_freq=1, per_worker=options.get("per_worker", False)
        )
        callbacks.append(logger)
    if options.get("dies_at"):

        class Dies(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == options["dies_at"] and '"index": 1' in os.environ.get("TF_CONFIG", ""):
                    os.kill(os.getpid(), signal.SIGKILL)

        callbacks.append(Dies())
    share = 16 // int(os.environ.get("WORLD_SIZE", "1"))  # of a batch, on PyTorch
    more = {} if kind == "tf_keras" else {"batch_size": share}
    model.fit(*given, epochs=options.get("epochs", 2), shuffle=False, verbose=0, callbacks=callbacks, **more)
    weights = [np.asarray(one) for one in model.get_weights()]
    report = None if logger is None else logger.report
    print(
        json.dumps(
            {
                "weights": float(sum(np.abs(one).sum() for one in weights)),
                "errors": 0 if report is None else report.errors,
                "written": 0 if report is None else report.written,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
