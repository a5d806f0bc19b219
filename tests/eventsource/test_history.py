"""Events that are kept for clients that come back."""

from __future__ import annotations

import threading

import pytest

from wsfast.eventsource import EncodedEvent, History


def datas(events):
    """Return the data of encoded events."""
    return None if events is None else [e.partition(b"data: ")[2][:-2] for e in events]


def test_what_a_client_has_missed():
    history = History()
    first, second = history.add("1"), history.add("2", event="add")
    third = history.add("3", id="own")
    assert (third.id, bytes(third)) == ("own", b"id: own\ndata: 3\n\n")
    assert first.id != second.id
    assert datas(history.since("")) == []
    assert datas(history.since(first.id)) == [b"2", b"3"]
    assert datas(history.since("own")) == []
    assert history.since("unknown") is None
    assert datas(history.all()) == [b"1", b"2", b"3"]


def test_bounded_in_number():
    history = History(count=3)
    events = [history.add(str(n)) for n in range(10)]
    assert len(history) == 3
    assert history.since(events[6].id) is None
    assert datas(history.since(events[7].id)) == [b"8", b"9"]
    assert len(history._number_of) == 3


def test_bounded_in_octets():
    history = History(size=1000)
    for _ in range(50):
        last = history.add("x" * 100)
        assert sum(map(len, history.all())) <= 1000
    assert len(history) >= 7
    history.add("x" * 2000)  # longer than there is room for at all
    assert len(history) == 0
    assert history.since(last.id) is None


def test_an_id_twice_is_the_later_event():
    history = History(count=3)
    for data, ident in (("1", "a"), ("2", "b"), ("3", "a")):
        history.add(data, id=ident)
    assert datas(history.since("a")) == []
    history.add("4", id="c")  # the first "a" goes, the second stays known
    assert datas(history.since("a")) == [b"4"]
    assert datas(history.since("b")) == [b"3", b"4"]


def test_ids_of_another_history_are_unknown():
    assert History().since(History().add("1").id) is None


def test_refuses_what_cannot_be_kept():
    for wrong in ({"count": -1}, {"size": -1}):
        with pytest.raises(ValueError, match="must be >= 0"):
            History(**wrong)
    with pytest.raises(ValueError, match="needs an ID"):
        History().add("1", id="")
    with pytest.raises(ValueError, match="line ends"):
        History().add("1", id="a\nb")


def test_from_several_threads():
    history = History(count=500)
    threads = [
        threading.Thread(target=lambda: [history.add("x") for _ in range(1000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = history.all()
    assert len(events) == len({event.id for event in events}) == 500
    assert datas(history.since(events[-3].id)) == [b"x", b"x"]


def test_encoded_event():
    event = EncodedEvent.of("x", "add", 7, 2.5)
    assert bytes(event) == b"event: add\nid: 7\nretry: 2500\ndata: x\n\n"
    assert event.id == "7"
