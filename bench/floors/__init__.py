"""The same work with everything that Fanfare adds taken away."""
