"""What is known of one camera at one moment, for the diagnoses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from step_ros.perception.freshness import Withheld, Withholding
from step_ros.perception.latency import Latency
from step_ros.perception.ledger import Inference, Ledger, LostUpdate


@dataclass(frozen=True)
class Snapshot:
    """A camera and its pipeline; counts are from their start on."""

    seconds: float
    """Of a clock that never jumps."""
    step_s: float
    """Of the window's grid: an update of the labels is due that often; in seconds."""
    frames: Ledger
    """What became of every image that was received."""
    stride: int
    """One frame in so many steps of the grid is encoded; see `Thinning`."""
    lost: int
    """Images that were published and not received."""
    updates: int
    """How often labels went out."""
    withheld: Mapping[Withholding, int]
    """Updates that were not published, by cause."""
    last_withheld: Mapping[Withholding, Withheld]
    """The newest of each cause."""
    lost_updates: Mapping[LostUpdate, int]
    """Updates that were lost, by cause."""
    restarts: Mapping[str, int]
    """Windows that began anew, by the way that time had jumped."""
    callback_errors: int
    """Of the node."""
    notices: Mapping[str, int]
    """More to show: frames without a stamp, checks of a direction."""
    labels: str
    """``waiting``, ``fresh`` or ``stale``; see `Freshness`."""
    silence_s: float
    """Seconds since the last label, or since labels have been waited for."""
    image_silence_s: float
    """Seconds since the last image, or since images have been waited for."""
    publishers: int
    """Of images, on the image topic, of whatever QoS."""
    other_publishers: str
    """Who publishes what cannot be received as it is set up, and what to set; empty if nobody."""
    image_qos: str
    """Which camera is not heard for its QoS, and what to set; empty if none."""
    label_qos: str
    """Which subscriber does not hear for its QoS, and what to set; empty if none."""
    latency: Latency
    """From arrival to labels."""
    stamp_latency: Latency
    """From the image's stamp to labels."""
    age_at_receipt: Latency
    """From the image's stamp to arrival."""
    step_under_way: tuple[str, float]
    """What inference is at, and for how many seconds."""
    engine_trouble: str
    """What is wrong with what runs the backbone; empty if nothing is."""
    stuck: str
    """Why nothing is perceived any more; empty otherwise."""
    errors: Mapping[Inference | LostUpdate, str]
    """The newest message of each kind of error in inference."""
    image_error: str
    """What was wrong with the newest image that could not be decoded."""
    callback_error: str
    """The newest of the node's."""

    @property
    def last_error(self) -> str:
        """The newest error of each kind; empty if none has been."""
        return "; ".join(filter(None, [*self.errors.values(), self.image_error]))
