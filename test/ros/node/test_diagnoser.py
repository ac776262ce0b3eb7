"""What is said of a camera in every situation that docs/robot.md names, and that it goes away."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from step_ros.perception.freshness import Withheld, Withholding
from step_ros.perception.latency import Latency
from step_ros.perception.ledger import (
    ByDesign,
    Clock,
    Decoding,
    Fate,
    Inference,
    Ledger,
    LostUpdate,
    Overload,
    Used,
)
from step_ros.ros.node.causes import Kind, Level, Limits
from step_ros.ros.node.diagnoser import EVIDENCE_PERIODS, Diagnoser, Diagnosis
from step_ros.ros.node.snapshot import Snapshot

TOPIC = "/camera/image_raw"
LIMITS = Limits(image_timeout_s=0.7, latency_warning_ms=200.0)
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "robot.md"


def latency(milliseconds: float) -> Latency:
    return Latency(100, milliseconds, milliseconds, milliseconds)


GOOD = Snapshot(
    seconds=0.0,
    step_s=0.1,
    frames=Ledger(),
    stride=1,
    lost=0,
    updates=0,
    withheld=dict.fromkeys(Withholding, 0),
    last_withheld={},
    lost_updates=dict.fromkeys(LostUpdate, 0),
    restarts={},
    callback_errors=0,
    notices={},
    labels="fresh",
    silence_s=0.05,
    image_silence_s=0.02,
    publishers=1,
    other_publishers="",
    image_qos="",
    label_qos="",
    latency=latency(30.0),
    stamp_latency=latency(60.0),
    age_at_receipt=latency(20.0),
    step_under_way=("", 0.0),
    engine_trouble="",
    stuck="",
    errors={},
    image_error="",
    callback_error="",
)
USUAL: dict[Fate, int] = {Used.ENCODED: 10, ByDesign.SKIPPED_BY_SAMPLING: 20}
COUNTS = ("lost", "updates", "callback_errors")
COUNTERS = ("withheld", "lost_updates", "restarts")


class Story:
    """Seconds of a 30 Hz camera and labels at 10 Hz, a snapshot each, but for what is said otherwise."""

    def __init__(self) -> None:
        self.diagnoser = Diagnoser(TOPIC, EVIDENCE_PERIODS * 1.0)
        self.last = GOOD
        self.diagnoser.diagnose(self.last, LIMITS)

    def second(self, fates: dict[Fate, int] | None = None, **changes: Any) -> Diagnosis:
        """One more second.

        Args:
            fates: of the images that come in it.
            changes: fields of the snapshot; of a count, what is added to it.
        """
        counts = {fate: self.last.frames[fate] for group in (USUAL, fates or {}) for fate in group}
        came = USUAL if fates is None else fates
        all_fates = {fate: self.last.frames[fate] for fate in ALL_FATES} | counts
        frames = Ledger(
            self.last.frames.received + sum(came.values()),
            {fate: count + came.get(fate, 0) for fate, count in all_fates.items()},
        )
        added: dict[str, Any] = {
            name: getattr(self.last, name) + changes.pop(name, 10 if name == "updates" else 0)
            for name in COUNTS
        }
        for name in COUNTERS:
            more, before = changes.pop(name, {}), getattr(self.last, name)
            added[name] = {key: before.get(key, 0) + more.get(key, 0) for key in {**before, **more}}
        kept = {"last_withheld": self.last.last_withheld, "callback_error": self.last.callback_error}
        self.last = replace(
            GOOD, seconds=self.last.seconds + 1.0, frames=frames, **{**added, **kept, **changes}
        )
        return self.diagnoser.diagnose(self.last, LIMITS)

    def seconds(self, count: int, **changes: Any) -> Diagnosis:
        """Several like it; returns what is said at the end."""
        for _ in range(count):
            said = self.second(**changes)
        return said


ALL_FATES = tuple(fate for group in (Used, ByDesign, Overload, Clock, Inference, Decoding) for fate in group)

STALE: dict[str, Any] = {"labels": "stale", "silence_s": 3.0, "updates": 0}


def withheld(cause: Withholding, age_s: float, delay_s: float) -> dict[str, Any]:
    """All labels of a second are withheld."""
    return {
        **STALE,
        "withheld": {cause: 10},
        "last_withheld": {cause: Withheld(stamp_ns=5 * 10**9, age_s=age_s, delay_s=delay_s, max_age_s=1.0)},
    }


@dataclass(frozen=True)
class Situation:
    """What is so for a while, and what is said meanwhile."""

    level: Level
    says: list[str]
    """In the message."""
    changes: dict[str, Any]
    """See `Story.second`."""
    kind: Kind
    """The first cause."""
    never: list[str] = field(default_factory=list)
    """Not in the message."""


OVERLOADED: dict[Fate, int] = {Overload.BEFORE_ENCODING: 10, ByDesign.SKIPPED_BY_SAMPLING: 20}
BAD: dict[Fate, int] = {Decoding.UNKNOWN_ENCODING: 30}
NAN_OF_HEAD = {
    "lost_updates": {LostUpdate.NOT_FINITE: 10},
    "errors": {LostUpdate.NOT_FINITE: "NotFiniteError: what the head of door gives for finite tokens"},
}
NAN_OF_BACKBONE = {
    "fates": {Inference.INFERENCE_ERROR: 10, ByDesign.SKIPPED_BY_SAMPLING: 20},
    "lost_updates": {LostUpdate.NOT_FINITE: 10},
    "errors": {LostUpdate.NOT_FINITE: "NotFiniteError: the backbone's tokens are not finite numbers"},
}
QOS = "/perception/object: incompatible QoS, RELIABILITY: a subscriber asks for reliable messages"

SITUATIONS = {
    "overload, and some labels go out": Situation(
        Level.WARN,
        ["frames dropped: 10 overload", "backbone"],
        {"fates": {Overload.BEFORE_ENCODING: 2, Used.ENCODED: 8, ByDesign.SKIPPED_BY_SAMPLING: 20}},
        Kind.OVERLOAD,
    ),
    "overload for long, so that frames are thinned out": Situation(
        Level.WARN,
        ["one frame in 4 steps of the window is encoded, and 35 were not", "coarser", "backbone"],
        {"fates": {Overload.THINNED_OUT: 7, Used.ENCODED: 3}, "updates": 3, "stride": 4},
        Kind.THINNED,
    ),
    "overload, and none do": Situation(
        Level.ERROR,
        ["no labels go out: frames dropped: 50 overload", "too slow"],
        {"fates": OVERLOADED, **STALE},
        Kind.OVERLOAD,
        never=["cannot be used", "encoding"],
    ),
    "the camera's stamps go backwards": Situation(
        Level.WARN,
        ["frames dropped: 10 late_frame", "stamps do not go forward"],
        {"fates": {Clock.LATE_FRAME: 2, Used.ENCODED: 8, ByDesign.SKIPPED_BY_SAMPLING: 20}},
        Kind.CLOCK,
    ),
    "most images are lost on the way": Situation(
        Level.WARN,
        ["only 25% of the images on /camera/image_raw arrive", "fastdds_large_images.xml"],
        {"lost": 90},
        Kind.LOST,
    ),
    "labels are late in this node": Situation(
        Level.WARN,
        ["labels are late: p99 is 350 ms, more than 200 ms", "arrive 20 ms after", "take 320 ms from there"],
        {"stamp_latency": latency(350.0), "latency": latency(320.0)},
        Kind.LATE,
        never=["clock"],
    ),
    "labels are late before this node": Situation(
        Level.WARN,
        ["labels are late: p99 is 350 ms", "arrive 300 ms after", "take 30 ms from there"],
        {"stamp_latency": latency(350.0), "age_at_receipt": latency(300.0)},
        Kind.LATE,
    ),
    "a clock that is a little ahead, by less than the node takes": Situation(
        Level.WARN,
        ["stamps are 40 ms ahead of this node's clock", "synchronise"],
        {"stamp_latency": latency(20.0), "age_at_receipt": latency(-40.0)},
        Kind.STAMPS,
    ),
    "a recording, and stamps are not compared with the clock": Situation(
        Level.WARN,
        ["stamps are 90000000 s behind this node's clock", "use_sim_time"],
        {"stamp_latency": latency(9e10), "age_at_receipt": latency(9e10)},
        Kind.STAMPS,
        never=["late"],
    ),
    "an engine that is being replaced, and another runs meanwhile": Situation(
        Level.WARN,
        ["engine openvino is given up"],
        {"engine_trouble": "engine openvino is given up (boom)"},
        Kind.ENGINE,
    ),
    "an engine that is being replaced, and what runs is too slow": Situation(
        Level.ERROR,
        ["no labels go out: engine openvino is given up", "50 overload"],
        {"engine_trouble": "engine openvino is given up (boom)", "fates": OVERLOADED, **STALE},
        Kind.ENGINE,
    ),
    "a subscriber that does not hear": Situation(Level.WARN, [QOS], {"label_qos": QOS}, Kind.LABEL_QOS),
    "a callback that fails": Situation(
        Level.WARN,
        ["callbacks failed, 5: KeyError: 'x'"],
        {"callback_errors": 1, "callback_error": "KeyError: 'x'"},
        Kind.CALLBACK,
    ),
    "a silent camera": Situation(
        Level.ERROR,
        ["no labels go out: no image on /camera/image_raw for 3.0 s", "1 publisher(s)", "silent"],
        {"fates": {}, "image_silence_s": 3.0, **STALE},
        Kind.NO_IMAGE,
        never=["gaps"],
    ),
    "no camera": Situation(
        Level.ERROR,
        ["no labels go out: no image on", "no publisher", "remap"],
        {"fates": {}, "image_silence_s": 3.0, "publishers": 0, **STALE},
        Kind.NO_IMAGE,
    ),
    "a camera of another type": Situation(
        Level.ERROR,
        ["no labels go out: no image on", "set image_transport:=compressed"],
        {
            "fates": {},
            "image_silence_s": 3.0,
            "publishers": 0,
            "other_publishers": "set image_transport:=compressed",
            **STALE,
        },
        Kind.NO_IMAGE,
        never=["silent"],
    ),
    "a camera that is not heard": Situation(
        Level.ERROR,
        ["no labels go out: no image on", "incompatible QoS, RELIABILITY"],
        {
            "fates": {},
            "image_silence_s": 3.0,
            "image_qos": f"{TOPIC}: incompatible QoS, RELIABILITY",
            **STALE,
        },
        Kind.NO_IMAGE,
        never=["silent"],
    ),
    "images of long ago": Situation(
        Level.ERROR,
        ["no labels go out: images are 9.0 s old by this node's clock as they arrive", "use_sim_time"],
        withheld(Withholding.OLD_STAMP, 9.0, 0.1),
        Kind.STAMPS,
    ),
    "images of the future": Situation(
        Level.ERROR,
        ["no labels go out: images are stamped 9.0 s ahead of this node's clock", "synchronise"],
        withheld(Withholding.STAMP_AHEAD, -9.0, 0.1),
        Kind.STAMPS,
    ),
    "images in time, of which this node makes old labels": Situation(
        Level.ERROR,
        ["no labels go out: labels take 1.4 s in this node", "1 s allowed", "backbone"],
        withheld(Withholding.OWN_DELAY, 0.02, 1.4),
        Kind.OWN_DELAY,
        never=["clock", "synchronise"],
    ),
    "an engine that hangs": Situation(
        Level.ERROR,
        ["no labels go out: the engine has not answered for 2.5 s", "50 overload"],
        {"fates": OVERLOADED, "step_under_way": ("engine", 2.5), **STALE},
        Kind.HANGING,
    ),
    "only bad images": Situation(
        Level.ERROR,
        ["no labels go out: frames cannot be used: 150 unknown_encoding of 150", "rainbow8"],
        {"fates": BAD, "image_error": "unknown_encoding: rainbow8", **STALE},
        Kind.DECODING,
    ),
    "some bad images": Situation(
        Level.WARN,
        ["frames cannot be used: 15 truncated_data of 150", "too short"],
        {
            "fates": {Decoding.TRUNCATED_DATA: 3, Used.ENCODED: 10, ByDesign.SKIPPED_BY_SAMPLING: 17},
            "image_error": "truncated_data: too short",
        },
        Kind.DECODING,
    ),
    "a camera that is too slow": Situation(
        Level.ERROR,
        ["no labels go out: images come at", "the window has gaps", "one each 0.1 s"],
        {"fates": {Used.ENCODED: 1}, "image_silence_s": 0.8, **STALE},
        Kind.GAPS,
        never=["no image on"],
    ),
    "stamps of two clocks in one topic": Situation(
        Level.ERROR,
        ["no labels go out: stamps have jumped 50 time(s), and each time the window began anew"],
        {"restarts": {"stamp_jumped_back": 10}, **STALE},
        Kind.GAPS,
    ),
    "a backbone that gives NaN": Situation(
        Level.ERROR,
        ["no labels go out: inference fails (not_finite): ", "the backbone's tokens are not finite"],
        {**NAN_OF_BACKBONE, **STALE},
        Kind.INFERENCE,
    ),
    "a head that gives NaN, and others that do not": Situation(
        Level.ERROR,
        ["inference fails (not_finite): ", "what the head of door gives"],
        NAN_OF_HEAD,
        Kind.INFERENCE,
    ),
    "a backbone that fails": Situation(
        Level.ERROR,
        ["inference fails (inference_error): out of memory"],
        {
            "fates": {Inference.INFERENCE_ERROR: 5, Used.ENCODED: 5, ByDesign.SKIPPED_BY_SAMPLING: 20},
            "errors": {Inference.INFERENCE_ERROR: "out of memory", LostUpdate.HEAD_ERROR: "of last year"},
        },
        Kind.INFERENCE,
        never=["of last year"],
    ),
    "inference that has hung for good": Situation(
        Level.ERROR,
        ["no labels go out: inference has hung 4 times"],
        {"fates": OVERLOADED, "stuck": "inference has hung 4 times; restart the node", **STALE},
        Kind.STUCK,
    ),
}


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=list(SITUATIONS))
def test_it_is_said_while_it_is_so_and_goes_away(situation: Situation) -> None:
    story = Story()
    assert story.seconds(6).message == "labels are going out"
    began = story.last.seconds
    said = story.seconds(EVIDENCE_PERIODS, **situation.changes)
    assert said.level is situation.level
    for words in situation.says:
        assert words in said.message
    for words in situation.never:
        assert words not in said.message
    first = said.causes[0]
    assert first.kind is situation.kind
    # It began when the last good second ended; a state may say itself since when.
    assert began - 2 <= first.start_s <= began + 1 and first.end_s == story.last.seconds
    for _ in range(EVIDENCE_PERIODS):
        said = story.second()
        assert not said.message.startswith("no labels go out")
    assert (said.level, said.message, said.causes) == (Level.OK, "labels are going out", ())


def test_every_situation_in_the_documentation_is_among_them() -> None:
    table = DOCUMENT.read_text().split("| level | message begins | do |")[1].split("\n\n")[0]
    phrases = [
        (line.split("|")[1].strip(), phrase)
        for line in table.splitlines()
        for phrase in re.findall(r"\*([^*]+)\*", line.split("|")[2] if line.startswith("|") else "")
    ]
    # Of the node's life; real nodes say these, in test_node.py.
    life = ("unconfigured", "inactive", "configuring for")
    messages = {"OK": ["labels are going out", "filling the first window"], "WARN": [], "ERROR": []}
    for situation in SITUATIONS.values():
        said = Story().seconds(EVIDENCE_PERIODS, **situation.changes)
        messages[said.level.name].append(re.sub(r"\d+", "N", said.message))
    assert len(phrases) > 25
    for level, phrase in phrases:
        if not phrase.startswith(life):
            pattern = re.sub(r"\d+", "N", re.escape(phrase)).replace("…", ".*")
            assert any(re.search(pattern, message) for message in messages[level]), phrase


STATES = ["engine_trouble", "label_qos", "image_qos"]


@pytest.mark.parametrize("name", STATES)
def test_a_state_is_withdrawn_at_once(name: str) -> None:
    story = Story()
    assert story.seconds(20, **{name: "something is so"}).message == "something is so"
    assert story.second().message == "labels are going out"


def test_old_stamps_do_not_outrank_what_keeps_labels_away_now() -> None:
    story = Story()
    story.seconds(60, **withheld(Withholding.OLD_STAMP, 12.0, 0.1))
    said = story.seconds(2, fates=OVERLOADED, **STALE)
    assert [cause.kind for cause in said.causes] == [Kind.OVERLOAD, Kind.STAMPS]
    assert said.message.startswith("no labels go out: frames dropped")
    said = story.seconds(EVIDENCE_PERIODS, fates=OVERLOADED, **STALE)
    assert [cause.kind for cause in said.causes] == [Kind.OVERLOAD]


def test_what_keeps_most_labels_away_comes_first() -> None:
    """Of thirty images ten cannot be decoded, a third of a label each; of the rest most are dropped."""
    mixed = {
        Decoding.TRUNCATED_DATA: 10,
        Overload.BEFORE_ENCODING: 8,
        Used.ENCODED: 2,
        ByDesign.SKIPPED_BY_SAMPLING: 10,
    }
    said = Story().seconds(2, fates=mixed, **STALE)
    assert [cause.kind for cause in said.causes] == [Kind.OVERLOAD, Kind.DECODING]
    overload, decoding = (cause.evidence for cause in said.causes)
    assert (overload.count, decoding.count) == (16, 20)
    assert overload.missing == pytest.approx(8) and decoding.missing == pytest.approx(10 / 3)


def test_a_camera_that_stops_under_load_is_silent_and_not_overloaded() -> None:
    story = Story()
    half = {Overload.BEFORE_ENCODING: 5, Used.ENCODED: 5, ByDesign.SKIPPED_BY_SAMPLING: 20}
    story.seconds(5, fates=half, updates=5)
    said = story.second(fates={}, image_silence_s=1.0, labels="stale", updates=0)
    assert said.causes[0].kind is Kind.NO_IMAGE


def test_a_cause_knows_since_when_and_when_last() -> None:
    story = Story()
    story.seconds(10)
    some = {Overload.BEFORE_ENCODING: 1, Used.ENCODED: 9, ByDesign.SKIPPED_BY_SAMPLING: 20}
    story.seconds(8, fates=some)
    (cause,) = story.seconds(3).causes
    assert (cause.start_s, cause.end_s) == (10.0, 18.0)
    assert cause.evidence.count == 2 and cause.evidence.missing == 0


def test_the_stamp_of_what_was_withheld_is_evidence() -> None:
    (cause,) = Story().seconds(2, **withheld(Withholding.OLD_STAMP, 9.0, 0.1)).causes
    assert cause.evidence.stamp_ns == 5 * 10**9 and cause.evidence.count == 20


def test_what_was_before_a_pause_says_nothing_of_what_comes() -> None:
    story = Story()
    story.seconds(5, fates=OVERLOADED, updates=0)
    story.diagnoser.forget()
    assert story.second().message == "labels are going out"


def test_the_first_window_is_waited_for() -> None:
    said = Story().seconds(2, labels="waiting", updates=0)
    assert (said.level, said.message) == (Level.OK, "filling the first window")


def test_one_lost_image_is_no_cause() -> None:
    assert Story().seconds(2, lost=1).causes == ()


def test_without_any_evidence_it_is_said_for_how_long() -> None:
    diagnoser = Diagnoser(TOPIC, 5.0)
    said = diagnoser.diagnose(replace(GOOD, labels="stale", silence_s=0.8), LIMITS)
    assert (said.level, said.message) == (Level.ERROR, "no labels go out: there was none for 0.8 s")
