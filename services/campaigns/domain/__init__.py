"""The words and rules of campaigning. Pure: no I/O, no framework."""
