from tbx_keras.writers.queue import BoundedQueue


def test_first_in_first_out():
    queue = BoundedQueue(10, 100)
    for item in range(5):
        queue.put(item)
    assert queue.take(3) == [0, 1, 2]
    assert queue.clear() == [3, 4]


def test_full_the_newest_is_turned_away_and_counted_by_values():
    queue = BoundedQueue(2, 100)
    assert [queue.put(item, values=7) for item in range(3)] == [True, True, False]
    assert queue.dropped == 7
    assert queue.clear() == [0, 1]


def test_what_is_to_be_kept_is_always_taken():
    queue = BoundedQueue(1, 10)
    queue.put("first")
    assert queue.put("kept", size=1000, droppable=False)
    assert queue.clear() == ["first", "kept"]


def test_bytes_count_too_and_are_freed():
    queue = BoundedQueue(10, 100)
    assert queue.put("a", size=90)
    assert not queue.put("b", size=20)
    queue.clear()
    assert queue.put("c", size=20)


def test_what_is_being_handled_counts_until_it_is_let_go():
    queue = BoundedQueue(10, 100)
    queue.put("a", size=90)
    assert queue.take(1) == ["a"]
    assert not queue.put("b", size=20)
    queue.release()
    assert queue.put("c", size=20)


def test_few_are_taken_where_they_are_large():
    queue = BoundedQueue(10, 1000)
    for item in range(4):
        queue.put(item, size=60)
    assert queue.take(10, 100) == [0, 1]
    assert queue.take(10, 1) == [2]
    assert list(queue.clear()) == [3]
