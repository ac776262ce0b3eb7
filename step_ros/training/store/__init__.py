"""Token stores: patch tokens on disk, so that a data set passes the backbone once.

A store is a folder: `manifest.json` names the backbone, how clips were sampled and the labelled clips;
`tokens/` holds one safetensors file a video, which is read memory-mapped and says what it is of. What is
checked when:

- opening compares the manifest with its digest, so labels are what was written; no link is ever followed;
- `TokenStore.verify` compares each file of tokens, and each video that is still there, with their digests;
- extracting anew does so too, and encodes again what is damaged, or of another video or other clips.

Two kinds:

- `clips.py`: of each clip T frames, evenly spaced: tensors `clip.0`, `clip.1` ... (T, P, D) a video;
- `grid.py`: of each video a frame at every grid time, as the node chooses them: one tensor `tokens`
  (F, P, D), over which windows slide.

Further views (see `views.py`) have the same names with the view's number behind: `clip.0.1`, `tokens.1`.
"""

from __future__ import annotations

from pathlib import Path

from step_ros.training.store.clips import ClipSampling, ClipStore
from step_ros.training.store.folder import TokenStoreError, read_manifest
from step_ros.training.store.grid import GridSampling, GridStore
from step_ros.training.store.token_store import StoredClip, TokenStore

__all__ = [
    "ClipSampling",
    "ClipStore",
    "GridSampling",
    "GridStore",
    "StoredClip",
    "TokenStore",
    "TokenStoreError",
    "open_store",
]


def open_store(root: Path) -> TokenStore:
    """Open the store at `root`, of whichever kind it is.

    Raises:
        TokenStoreError: there is none, or it is not complete, or not what was written.
    """
    try:
        manifest = read_manifest(root)
        return ClipStore(root, manifest) if "sampling" in manifest else GridStore(root, manifest)
    except TokenStoreError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TokenStoreError(
            f"{root} is not a complete token store; run `step-ros extract` ({error})"
        ) from error
