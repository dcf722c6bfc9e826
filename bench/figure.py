"""One figure: what was measured, what it is held against, and what was counted."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

_STARTED = time.monotonic()


@dataclass(slots=True)
class Figure:
    """``value`` and ``floor`` have the same unit; ``counts`` says in words what the clock ran over."""

    figure: str
    n: int
    value: float
    unit: str
    floor: float
    counts: str
    higher_is_better: bool = True
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """How near the value comes to its floor: 1 is the floor itself, above 1 is better than it."""
        first, second = (self.value, self.floor) if self.higher_is_better else (self.floor, self.value)
        return first / second if second else 0.0

    def line(self) -> str:
        """The one line of JSON that a run ends with."""
        return json.dumps(
            {
                "figure": self.figure,
                "n": self.n,
                "value": _short(self.value),
                "unit": self.unit,
                "floor": _short(self.floor),
                "ratio": round(self.ratio, 3),
                "counts": self.counts,
                **{key: _short(value) for key, value in self.more.items()},
            },
            ensure_ascii=False,
        )


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 1 if abs(value) >= 100 else 3)
    return value


def tell(message: str) -> None:
    """Progress, on stderr: stdout carries the result alone."""
    print(f"[{time.monotonic() - _STARTED:7.1f} s] {message}", file=sys.stderr, flush=True)


def percentile(samples: list[float], share: float) -> float:
    """The value that ``share`` of the samples do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]
