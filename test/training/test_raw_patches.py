"""Frames kept as they are."""

from __future__ import annotations

import torch

from step_ros.training.raw_patches import to_images, to_patches


def test_patches_of_pixels_become_the_image_again() -> None:
    images = torch.randint(0, 256, (2, 3, 24, 32), dtype=torch.uint8)
    patches = to_patches(images, 8)
    assert patches.shape == (2, 12, 192)
    assert torch.equal(patches[1, 5].reshape(3, 8, 8), images[1, :, 8:16, 8:16])
    assert torch.equal(to_images(patches, (24, 32), 8), images)
