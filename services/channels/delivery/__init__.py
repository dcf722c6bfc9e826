"""Senders: they claim batches and carry them through, handful by handful."""
