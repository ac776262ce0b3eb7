"""The books of every image: groups that do not mix, sums that show what is missing, names for people."""

from __future__ import annotations

import json
import threading

import pytest

from step_ros.frames import IMAGE_ERROR_CAUSES
from step_ros.frames.image_error import UNREADABLE
from step_ros.perception.ledger import (
    DROPPED,
    FATES,
    GROUPS,
    ByDesign,
    Clock,
    Decoding,
    Fate,
    Inference,
    Ledger,
    Overload,
    UnderWay,
    Used,
)


def test_a_fate_is_of_one_group_and_has_a_name_of_its_own() -> None:
    for fate in FATES:
        assert [group for group in GROUPS if isinstance(fate, group)] == [type(fate)]
    assert len({fate.value for fate in FATES}) == len(FATES)
    assert {fate for fate in FATES if fate.value.startswith("dropped.")} == {
        fate for group in DROPPED for fate in group
    }


def test_every_cause_of_a_bad_image_is_a_fate() -> None:
    assert {fate.word for fate in Decoding} == {*IMAGE_ERROR_CAUSES, UNREADABLE}
    assert all(Decoding.of(cause).word == cause for cause in (*IMAGE_ERROR_CAUSES, UNREADABLE))


@pytest.mark.parametrize("cause", ["overload", "late_frame", "encoded"])
def test_what_is_no_cause_of_a_bad_image_is_no_fate_of_one(cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        Decoding.of(cause)


def test_groups_add_up_and_do_not_mix() -> None:
    ledger = Ledger()
    lost: list[Fate] = [*Overload, *Clock, *Clock, *Decoding]
    for fate in lost:
        ledger.receive()
        ledger.settle(fate)
    assert [ledger.total(group) for group in DROPPED] == [3, 4, 0, 7]
    assert ledger.total(*DROPPED) == ledger.total(*GROUPS) == ledger.received == 14
    assert ledger[Clock.LATE_FRAME] == 2 and ledger[Used.ENCODED] == 0


def test_an_image_without_a_fate_or_with_two_is_unaccounted_for() -> None:
    ledger = Ledger()
    ledger.receive()
    assert ledger.unaccounted == 1
    ledger.settle(Used.ENCODED)
    assert ledger.unaccounted == 0
    ledger.settle(Inference.INFERENCE_ERROR)
    assert ledger.unaccounted == -1


def test_the_books_of_two_stages_are_one() -> None:
    """Of five messages one is broken and one waits to be decoded; of three frames one is a duplicate."""
    intake = Ledger(5, {Decoding.TRUNCATED_DATA: 1, UnderWay.WAITING: 1})
    perception = Ledger(3, {Used.ENCODED: 1, Clock.DUPLICATE_STAMP: 1, UnderWay.WAITING: 1})
    both = intake.followed_by(perception)
    assert (both.received, both.unaccounted, both[UnderWay.WAITING]) == (5, 0, 2)
    perception.settle(Used.ENCODED)
    intake.receive()
    assert (both.received, both[Used.ENCODED]) == (5, 1), "books of a moment do not go on"


def test_what_came_since() -> None:
    before = Ledger(10, {Used.ENCODED: 9, UnderWay.PENDING: 1})
    new = Ledger(15, {Used.ENCODED: 12, Overload.BEFORE_ENCODING: 3}).since(before)
    assert new.received == 5 and new.unaccounted == 0
    assert new[Used.ENCODED] == new.total(Overload) == 3 and new[UnderWay.PENDING] == -1


def test_json_has_the_names_that_people_read() -> None:
    ledger = Ledger(4, {Used.ENCODED: 2, Overload.BEFORE_DECODING: 1, Decoding.TOO_LARGE: 1})
    assert ledger.to_json(always=(ByDesign.SKIPPED_BY_SAMPLING,)) == {
        "received": 4,
        "encoded": 2,
        "skipped_by_sampling": 0,
        "dropped.decode_overload": 1,
        "dropped.too_large": 1,
    }
    assert list(Ledger().to_json()) == [
        "received",
        "encoded",
        "skipped_by_sampling",
        "skipped_inactive",
        "pending",
        "waiting",
        "dropped.decode_overload",
        "dropped.overload",
        "dropped.thinned_out",
        "dropped.late_frame",
        "dropped.duplicate_stamp",
        "dropped.inference_error",
        *(f"dropped.{cause}" for cause in (*IMAGE_ERROR_CAUSES, UNREADABLE)),
    ]


def test_json_reads_back_and_so_do_diagnostics() -> None:
    ledger = Ledger(4, {Used.ENCODED: 2, Clock.LATE_FRAME: 1})
    read = Ledger.from_json(json.loads(json.dumps(ledger.to_json())))
    assert read.to_json() == ledger.to_json() and read.unaccounted == 1
    told = {
        **{name: str(count) for name, count in ledger.to_json().items()},
        "engine": "eager",
        "updates": "9",
    }
    assert Ledger.from_json(told).to_json() == ledger.to_json()
    assert Ledger.from_json({}).received == 0


def test_several_threads_lose_no_count() -> None:
    ledger = Ledger()

    def work() -> None:
        for _ in range(2000):
            ledger.receive()
            ledger.settle(Used.ENCODED)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.received == ledger[Used.ENCODED] == 8000
