"""What TensorBoard's projector serves, asked through its own routes."""

import json
import warnings

import keras
import numpy as np
import pytest
import tf_keras
from tensorboard.backend.application import TensorBoardWSGIApp
from tensorboard.backend.event_processing.data_ingester import LocalDataIngester
from tensorboard.program import TensorBoard
from werkzeug.test import Client

from tbx_keras import TbxLogger
from tbx_keras.values import Embedding, RecordBatch
from tbx_keras.writers import AsyncEventWriter
from tbx_keras.writers.projector import MAX_ROWS
from tests import zoo

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
ROWS = 20  # of the table of `zoo.with_embedding`


class Board:
    """TensorBoard's projector on a directory, without a port."""

    def __init__(self, log_dir) -> None:
        board = TensorBoard()
        board.configure(argv=[None, "--logdir", str(log_dir), "--load_fast", "false"])
        ingester = LocalDataIngester(board.flags)
        ingester._multiplexer.AddRunsFromDirectory(str(log_dir)).Reload()
        self._client = Client(
            TensorBoardWSGIApp(
                board.flags, board.plugin_loaders, ingester.data_provider, board.assets_zip_provider
            )
        )

    def get(self, route: str, **query):
        return self._client.get(f"/data/plugin/projector/{route}", query_string=query)


def train(k, log_dir, **arguments) -> list[str]:
    model = zoo.with_embedding(k)
    model.compile("sgd", "mse")
    x, y = np.zeros((4, 4), "int32"), np.ones((4, 1), "float32")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        logger = TbxLogger(log_dir, embeddings_freq=1, gradient_freq=0, **arguments)
        model.fit(x, y, epochs=3, verbose=0, callbacks=[logger])
    assert (logger.report.errors, logger.report.dropped) == (0, 0)
    return [str(one.message) for one in found if "tbx_keras" in str(one.message)]


def info(board: Board) -> dict:
    (table,) = json.loads(board.get("info", run="train").data)["embeddings"]
    return table


@KERASES
@pytest.mark.parametrize(
    "lines",
    [[f"word {row}" for row in range(ROWS)], ["word\tcount", *(f"w{row}\t{row}" for row in range(ROWS))]],
)
def test_table_and_labels_are_served(k, lines, tmp_path):
    (tmp_path / "words.tsv").write_text("\n".join(lines))
    assert train(k, tmp_path, embeddings_metadata={"table": "words.tsv"}) == []
    board = Board(tmp_path)
    assert json.loads(board.get("runs").data) == ["train"]
    assert (info(board)["tensorName"], info(board)["tensorShape"]) == ("table", [ROWS, 3])
    assert len(board.get("tensor", run="train", name="table").data) == ROWS * 3 * 4
    answer = board.get("metadata", run="train", name="table")
    assert answer.status_code == 200, answer.data
    assert answer.data.decode().splitlines() == lines


def test_a_file_elsewhere_is_served_too(tmp_path):
    (tmp_path / "words.tsv").write_text("\n".join(str(row) for row in range(ROWS)))
    assert train(keras, tmp_path / "logs", embeddings_metadata=str(tmp_path / "words.tsv")) == []
    answer = Board(tmp_path / "logs").get("metadata", run="train", name="table")
    assert answer.data.decode().split() == [str(row) for row in range(ROWS)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "no 'words.tsv' in"),
        ("one\ntwo", "has 2 lines instead of 20 (one for each row)"),
        ("a\tb\n1\t2", "has 2 lines instead of 21 (a header and one for each row)"),
        (b"\xff\xfe\xfa", "cannot be read"),
    ],
)
def test_labels_that_cannot_be_shown_are_reported_once_and_the_table_is_served(text, reason, tmp_path):
    if text is not None:
        (tmp_path / "words.tsv").write_bytes(text if isinstance(text, bytes) else text.encode())
    (message,) = train(keras, tmp_path, embeddings_metadata="words.tsv")
    assert reason in message
    board = Board(tmp_path)
    assert "metadataPath" not in info(board)
    assert len(board.get("tensor", run="train", name="table").data) == ROWS * 3 * 4


def test_labels_that_come_later_are_shown(tmp_path):
    writer = AsyncEventWriter(tmp_path)
    table = Embedding("table", np.eye(3, dtype="float32"), "words.tsv")
    with pytest.warns(RuntimeWarning, match=r"words.tsv' does not exist"):
        writer.submit(RecordBatch("train", None, 0, [table]))
        writer.flush()
    (tmp_path / "words.tsv").write_text("a\nb\nc\n")
    writer.submit(RecordBatch("train", None, 1, [table]))
    writer.scalar("train", "loss", 1.0, 1)
    writer.close()
    assert Board(tmp_path).get("metadata", run="train", name="table").data == b"a\nb\nc\n"


def test_labels_of_a_table_that_is_cut_are_cut(tmp_path):
    rows = MAX_ROWS + 5
    (tmp_path / "words.tsv").write_text("\n".join(str(row) for row in range(rows)))
    writer = AsyncEventWriter(tmp_path)
    writer.submit(
        RecordBatch("train", None, 0, [Embedding("table", np.zeros((rows, 1), "float32"), "words.tsv")])
    )
    writer.close()
    for name in ("table.tsv", "table_metadata.tsv"):
        assert len((tmp_path / "train" / name).read_text().splitlines()) == MAX_ROWS
    assert sorted(path.name for path in (tmp_path / "train").iterdir()) == [
        "projector_config.pbtxt", "table.tsv", "table_metadata.tsv"
    ]  # fmt: skip
