"""Where a head looks in the newest frame, for the annotated image."""

from __future__ import annotations

from functools import partial
from typing import Any

from rclpy.node import Node

from step_ros.perception import Perceiver
from step_ros.perception.attention_overlay import scaled_attention
from step_ros.probes.attention_map import attention_map
from step_ros.ros.node.annotated_image import MakeAttentionMap
from step_ros.ros.node.parameters import value_of


class LiveAttention:
    """The attention of the head that the parameter ``annotated_image.attention`` names.

    Args:
        node: whose parameter it is.
        perceiver: whose windows and heads they are.
    """

    def __init__(self, node: Node, perceiver: Perceiver) -> None:
        self._node = node
        self._perceiver = perceiver

    def of_now(self, frame_shape: tuple[int, ...]) -> MakeAttentionMap | None:
        """For the window that has just been perceived; to be called in the thread that perceives.

        Only the window's tokens are taken here; what costs time is left to who calls the result.

        Args:
            frame_shape: height and width of the newest frame, and whatever follows.
        """
        task = value_of(self._node, "annotated_image.attention")
        head = self._perceiver.heads.get(task) if task else None
        tokens = self._perceiver.window_tokens() if head is not None else None
        return None if tokens is None else partial(self._newest, head, tokens, frame_shape)

    def _newest(self, head: Any, tokens: Any, frame_shape: tuple[int, ...]) -> Any:
        backbone = self._perceiver.backbone
        weights = attention_map(head, tokens[None]).weights[0].cpu().numpy()  # T P
        height, width = backbone.image_size
        patch = backbone.tower.patch_size
        newest = scaled_attention(weights)[-1].reshape(height // patch, width // patch)
        rows, columns = frame_shape[:2]
        top, left, bottom, right = backbone.preprocess.visible_area(rows, columns)
        return newest, (top / rows, left / columns, bottom / rows, right / columns)
