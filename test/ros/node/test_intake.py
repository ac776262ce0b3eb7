"""From messages to frames: what is kept, for how long, and what is counted."""

from __future__ import annotations

import array
import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from step_ros.frames import ImageError
from step_ros.perception.ledger import ByDesign, Decoding, Ledger, Overload, UnderWay, Used
from step_ros.ros.messages import stamp_of
from step_ros.ros.node.intake import BadImage, FrameIntake, open_message


def image(stamp_ns: int = 5) -> Image:
    header = Header(stamp=stamp_of(stamp_ns), frame_id="camera")
    data = array.array("B", [1, 2, 3, 4, 5, 6])
    return Image(header=header, height=1, width=2, encoding="bgr8", step=6, data=data)


class Intake:
    """An intake whose frames are kept in a list, and whose thread can be held up."""

    def __init__(self, queue_size: int = 10, max_pixels: int = 100) -> None:
        self.frames: list[Any] = []
        self.errors: list[BadImage] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.intake = FrameIntake(
            self.frames.append,
            self.errors.append,
            max_pixels=lambda: max_pixels if self.go_on.wait(20) else 0,
            queue_size=queue_size,
        )

    def take(self, *messages: Any) -> None:
        """Submit messages and wait until all of them have been dealt with."""
        for message in messages:
            self.intake.submit(message, 99)
        end = time.monotonic() + 20
        while self.account()[UnderWay.WAITING]:
            assert time.monotonic() < end, "the intake does not come to rest"
            time.sleep(0.001)

    def account(self, worker: Ledger | None = None) -> Ledger:
        """The account with a worker whose books are these."""
        return self.intake.account(lambda: worker or Ledger())


@pytest.fixture
def make_intake() -> Iterator[Callable[..., Intake]]:
    made: list[Intake] = []

    def make(**options: int) -> Intake:
        made.append(Intake(**options))
        return made[-1]

    yield make
    for intake in made:
        intake.go_on.set()
        intake.intake.close()


def test_a_frame_has_the_messages_stamp_and_frame_id() -> None:
    frame = open_message(image(), 99, max_pixels=100)
    assert (frame.stamp_ns, frame.frame_id) == (5, "camera")
    assert frame.rgb.tolist() == [[[3, 2, 1], [6, 5, 4]]]


def test_a_message_without_a_stamp_gets_the_time_of_receipt(make_intake: Any) -> None:
    intake = make_intake()
    intake.take(image(0))
    assert [frame.stamp_ns for frame in intake.frames] == [99]
    assert intake.intake.zero_stamps == 1


def test_a_frame_is_found_for_as_long_as_somebody_holds_it(make_intake: Any) -> None:
    intake = make_intake()
    intake.take(image(), image(6), image())
    first, *_ = intake.frames
    del intake.frames[1:]  # the second one with the same stamp is held by nobody
    gc.collect()
    assert intake.intake.find(5) is first
    del first
    intake.frames.clear()
    intake.take(image(7))  # the thread lets go of its last frame when the next one comes
    gc.collect()
    assert intake.intake.find(5) is None


@pytest.mark.parametrize(
    ("message", "max_pixels", "cause"),
    [
        (image(), 1, "too_large"),
        (CompressedImage(format="jpeg", data=array.array("B", b"\xff\xd8\xff")), 100, "corrupt_compressed"),
        (CompressedImage(format="h264"), 100, "unknown_encoding"),
    ],
)
def test_a_bad_image_is_counted_by_its_cause(
    make_intake: Any, message: Any, max_pixels: int, cause: str
) -> None:
    with pytest.raises(ImageError):
        open_message(message, 0, max_pixels=max_pixels)
    intake = make_intake(max_pixels=max_pixels)
    intake.take(message)
    account = intake.account()
    assert account.to_json()[f"dropped.{cause}"] == account.total(Decoding) == 1
    assert [bad.cause.word for bad in intake.errors] == [cause]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (Image(height=1, width=2, encoding="rainbow" * 30_000), "(210000 characters)"),
        (CompressedImage(format="h264" * 50_000), "(200000 characters)"),
        (image(), "max_image_pixels"),
    ],
    ids=["encoding", "format", "too large: the parameter by its name"],
)
def test_what_is_wrong_is_said_in_a_few_words(make_intake: Any, message: Any, words: str) -> None:
    intake = make_intake(max_pixels=1)
    intake.take(message)
    (bad,) = intake.errors
    assert words in bad.message and len(bad.message) < 1000


def test_a_frame_id_of_absurd_length_is_cut() -> None:
    message = image()
    message.header.frame_id = "x" * 2_000_000
    frame_id = open_message(message, 99, max_pixels=100).frame_id
    assert len(frame_id) < 250 and frame_id.endswith("(2000000 characters)")


def test_a_frame_knows_when_it_was_received() -> None:
    assert open_message(image(), 99, max_pixels=100).receipt_ns == 99


class Nonsense:
    """No image at all, but for the header."""

    header = Header()


def test_what_fails_in_a_way_nobody_thought_of_is_counted_and_survived(make_intake: Any) -> None:
    intake = make_intake()
    intake.take(Nonsense(), image())
    assert intake.account()[Decoding.UNREADABLE] == 1
    assert len(intake.frames) == 1


def test_the_newest_messages_win(make_intake: Any) -> None:
    intake = make_intake(queue_size=2)
    intake.go_on.clear()
    intake.intake.submit(image(1), 99)
    end = time.monotonic() + 20
    while intake.intake._waiting:  # until the first is being decoded
        assert time.monotonic() < end
    for stamp_ns in (2, 3, 4, 5):
        intake.intake.submit(image(stamp_ns), 99)
    assert intake.account()[UnderWay.WAITING] == 3
    intake.go_on.set()
    intake.take()
    assert [frame.stamp_ns for frame in intake.frames] == [1, 4, 5]
    assert intake.account()[Overload.BEFORE_DECODING] == 2


def test_received_is_the_sum_of_all_fates(make_intake: Any) -> None:
    intake = make_intake()
    intake.take(image(1), image(2), image(3), CompressedImage(format="h264"))
    fates = {Used.ENCODED: 1, ByDesign.SKIPPED_BY_SAMPLING: 1, UnderWay.PENDING: 1}
    books = intake.account(Ledger(3, fates))
    assert books.received == 4 and books.unaccounted == 0


def test_after_close_messages_are_ignored(make_intake: Any) -> None:
    intake = make_intake()
    intake.intake.close()
    intake.intake.submit(image(), 99)
    assert intake.account().received == 0
