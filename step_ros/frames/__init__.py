"""Frames: what they are, where they come from, and which of them a window looks at."""

from __future__ import annotations

from step_ros.frames.bags.messages import typestore
from step_ros.frames.bags.reading import BagError, RecordedFrame, image_topics, read_bag_frames
from step_ros.frames.clip import ClipSpec, GridSampler, Sampled
from step_ros.frames.frame import Frame
from step_ros.frames.image_error import IMAGE_ERROR_CAUSES, ImageError
from step_ros.frames.image_message import MAX_PIXELS, decode_compressed_image, decode_image
from step_ros.frames.video import VideoError, read_video

__all__ = [
    "IMAGE_ERROR_CAUSES",
    "MAX_PIXELS",
    "BagError",
    "ClipSpec",
    "Frame",
    "GridSampler",
    "ImageError",
    "RecordedFrame",
    "Sampled",
    "VideoError",
    "decode_compressed_image",
    "decode_image",
    "image_topics",
    "read_bag_frames",
    "read_video",
    "typestore",
]
