"""Every frame of the camera stays in memory: the motion detector compares with all of them.

It was meant to compare with the average of the last few.  The arrays are numpy's, so the
objects look small; the memory is behind them.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from examples.leaks._expected import Expected

Frame = npt.NDArray[np.float32]

WINDOW = 5


class MotionDetector:
    def __init__(self, window: int | None) -> None:
        self.window = window
        self.history: list[Frame] = []

    def moved(self, raw: npt.NDArray[np.uint8]) -> bool:
        frame: Frame = raw.astype(np.float32)  # leaks
        if self.window:
            self.history = self.history[-self.window :]
        self.history.append(frame)
        if len(self.history) < 2:
            return False
        return bool(abs(frame - self.history[-2]).mean() > 10)


_detector = MotionDetector(window=None)
_fixed = MotionDetector(window=WINDOW)
_ticks = itertools.count()


def camera() -> npt.NDArray[Any]:
    return np.full((48, 64), next(_ticks) % 256, dtype=np.uint8)


def work() -> None:
    for _ in range(50):
        _detector.moved(camera())


def work_fixed() -> None:
    for _ in range(50):
        _fixed.moved(camera())


def leaked() -> int:
    return len(_detector.history) + max(0, len(_fixed.history) - WINDOW - 1)


EXPECTED = Expected(
    type="ndarray",
    kind="growing-container",
    holder="module examples.leaks.frame_history -> _detector -> history",
    per_round=50,
)
