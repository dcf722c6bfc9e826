"""How campaigns keeps what it knows."""
