"""How it gets there, and what comes back: every recipient is claimed before hand-off, and accounted for after it."""
