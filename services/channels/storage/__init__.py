"""The documents of the channels room, and the vault for what must not be read."""
