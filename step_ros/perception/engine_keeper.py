"""What runs the backbone when its engine fails: PyTorch at once, and a new engine as soon as it is built."""

from __future__ import annotations

import logging
import threading
from collections import Counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from step_ros.backbones import Backbone, select_engine
from step_ros.backbones.engines import ENGINE_NAMES, EngineError, EngineSelection
from step_ros.backbones.engines.eager import EagerEngine

_log = logging.getLogger(__name__)

PATIENCE = 3
"""Passes in a row that an engine may fail in before it is replaced."""

PROVEN = 1000
"""Good passes after which an engine that was rebuilt may be rebuilt again."""


class EngineKeeper:
    """Encodes frames with a backbone's engine, and replaces the engine when it cannot be relied on.

    An engine that raises `PATIENCE` times in a row, hangs, or gives NaN or infinity for `PATIENCE` frames
    before it has proved itself again, is replaced by PyTorch itself at once, so that labels go on, more
    slowly. Meanwhile the engine is built again in a thread of its own; if it has been built again before
    without proving itself since, the next slower one is. When it is ready, and has been found right, it takes
    over.

    Args:
        backbone: whose `engine` it is.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._lock = threading.Lock()  # guards everything below
        self._failures = 0
        self._not_finite = 0
        self._good = 0
        self._rebuilt: Counter[str] = Counter()
        self._trouble = ""
        self._replacements = 0
        self._turn = 0  # a build whose turn is over must not install its engine
        self._closed = False

    def encode(self, rgb: NDArray[np.uint8]) -> Tensor:
        """Tokens (B, P, D) of frames (B, H, W, 3); what the engine raises is counted and passed on."""
        engine = self._backbone.engine
        try:
            tokens = self._backbone.encode(rgb)
        except Exception as error:
            if isinstance(error, torch.cuda.OutOfMemoryError):
                torch.cuda.empty_cache()  # what other tasks have freed may be enough
            self._note_failure(engine, f"{type(error).__name__}: {error}")
            raise
        with self._lock:
            self._failures = 0
            self._good += 1
            if self._good == PROVEN:
                self._rebuilt.clear()
                self._not_finite = 0
        return tokens

    def not_finite(self, frames: int, cause: str) -> None:
        """The tokens of so many frames have turned out not to be finite numbers."""
        engine = self._backbone.engine
        with self._lock:
            self._not_finite += frames
            self._good = 0
            if self._not_finite < PATIENCE:
                return
            self._not_finite = 0
        self._replace(engine, cause)

    def hung(self, seconds: float) -> None:
        """A pass has taken so long that nobody waits for it any more: replace the engine."""
        self._replace(self._backbone.engine, f"it hung for {seconds:.0f} s")

    @property
    def trouble(self) -> str:
        """What is wrong with the engine, while one is being replaced; empty otherwise."""
        with self._lock:
            return self._trouble

    @property
    def replacements(self) -> int:
        """How often an engine has been given up."""
        with self._lock:
            return self._replacements

    def close(self) -> None:
        """No engine is installed any more; a build in progress runs to its end without effect."""
        with self._lock:
            self._closed = True

    def _note_failure(self, engine: EngineSelection, cause: str) -> None:
        with self._lock:
            self._failures += 1
            self._good = 0
            if self._failures < PATIENCE:
                return
            self._failures = 0
        self._replace(engine, cause)

    def _replace(self, failed: EngineSelection, cause: str) -> None:
        """Let PyTorch take over, and build what comes after it."""
        with self._lock:
            if self._closed or self._backbone.engine is not failed:
                return  # another has been installed meanwhile
            if failed.name == "eager":
                return  # nothing could take its place; its errors are told as they come
            self._replacements += 1
            self._turn += 1
            turn = self._turn
            self._good = self._failures = self._not_finite = 0
            candidates = self._candidates(failed.name)
            self._trouble = f"engine {failed.name} is given up ({cause})"
            eager = EagerEngine(self._backbone.encoder)
            self._backbone.engine = EngineSelection(eager, {**failed.refused, failed.name: cause})
            if candidates:
                self._trouble += f"; eager runs while {candidates[0]} is built"
            _log.error("%s", self._trouble)
        if candidates:
            build = threading.Thread(target=self._build, args=(turn, candidates), name="engine", daemon=True)
            build.start()
        else:
            with self._lock:
                self._trouble = ""

    def _candidates(self, failed: str) -> list[str]:
        """The engines to try, in order, after one has failed; none after eager, which is running already."""
        self._rebuilt[failed] += 1
        first = ENGINE_NAMES.index(failed) + (self._rebuilt[failed] > 1)
        return [name for name in ENGINE_NAMES[first:] if name not in ("auto", "eager")]

    def _build(self, turn: int, candidates: list[str]) -> None:
        """In a thread of its own."""
        for name in candidates:
            try:
                selection = select_engine(self._backbone.encoder, name)
            except EngineError as error:
                _log.warning("%s", error)
                continue
            except Exception as error:  # what builds engines raises what it likes
                _log.error("engine %s cannot be built again: %s: %s", name, type(error).__name__, error)
                continue
            with self._lock:
                if turn == self._turn and not self._closed:
                    self._backbone.engine = selection
                    self._trouble = ""
                    _log.warning("%s runs the backbone from here on", selection)
            return
        with self._lock:
            if turn == self._turn:
                self._trouble = ""
                _log.warning("no other engine can be had: eager runs the backbone from here on")
