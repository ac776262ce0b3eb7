"""From messages to frames: what is kept, for how long, and what is counted."""

from __future__ import annotations

import array
import gc
from typing import Any

import pytest
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from step_ros.frames import ImageError
from step_ros.ros.frame_ledger import UNREADABLE, FrameLedger
from step_ros.ros.messages import stamp_of


def image(stamp_ns: int = 5) -> Image:
    header = Header(stamp=stamp_of(stamp_ns), frame_id="camera")
    data = array.array("B", [1, 2, 3, 4, 5, 6])
    return Image(header=header, height=1, width=2, encoding="bgr8", step=6, data=data)


def test_a_frame_has_the_messages_stamp_and_frame_id() -> None:
    frame = FrameLedger().open(image(), 99, max_pixels=100)
    assert (frame.stamp_ns, frame.frame_id) == (5, "camera")
    assert frame.rgb.tolist() == [[[3, 2, 1], [6, 5, 4]]]


def test_a_message_without_a_stamp_gets_the_time_of_receipt() -> None:
    ledger = FrameLedger()
    assert ledger.open(image(0), 99, max_pixels=100).stamp_ns == 99
    assert ledger.zero_stamps == 1


def test_a_frame_is_found_for_as_long_as_somebody_holds_it() -> None:
    ledger = FrameLedger()
    frame = ledger.open(image(), 0, max_pixels=100)
    ledger.open(image(), 0, max_pixels=100)  # one with the same stamp, which nobody holds
    gc.collect()
    assert ledger.find(5) is frame
    del frame
    gc.collect()
    assert ledger.find(5) is None


@pytest.mark.parametrize(
    ("message", "max_pixels", "cause"),
    [
        (image(), 1, "too_large"),
        (CompressedImage(format="jpeg", data=array.array("B", b"\xff\xd8\xff")), 100, "corrupt_compressed"),
        (CompressedImage(format="h264"), 100, "unknown_encoding"),
    ],
)
def test_a_bad_image_is_counted_by_its_cause(message: Any, max_pixels: int, cause: str) -> None:
    ledger = FrameLedger()
    with pytest.raises(ImageError):
        ledger.open(message, 0, max_pixels=max_pixels)
    assert account(ledger)[f"dropped.{cause}"] == 1


def test_what_fails_in_a_way_nobody_thought_of_is_counted_too() -> None:
    ledger = FrameLedger()
    with pytest.raises(AttributeError):
        ledger.open(object(), 0, max_pixels=100)
    assert account(ledger)[f"dropped.{UNREADABLE}"] == 1


def test_received_is_the_sum_of_all_fates() -> None:
    ledger = FrameLedger()
    for index in range(3):
        ledger.open(image(index + 1), 0, max_pixels=100)
    with pytest.raises(ImageError):
        ledger.open(image(), 0, max_pixels=1)
    books = account(ledger, encoded=1, skipped_by_sampling=1, pending=1)
    assert books.pop("received") == sum(books.values()) == 4


def account(ledger: FrameLedger, **counts: int) -> dict[str, int]:
    """The account with a worker that counted this."""
    names = ("encoded", "skipped_by_sampling", "pending", "waiting", "dropped_overload", "late_frame")
    worker = dict.fromkeys((*names, "duplicate_stamp", "inference_error"), 0)
    return ledger.account({**worker, **counts})
