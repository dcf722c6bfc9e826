"""Whether an engine can be had on this machine, and the reason where it cannot."""

from __future__ import annotations


class NotAtHand(Exception):
    """Why an engine cannot be had here, in words that a suite prints when it skips."""
