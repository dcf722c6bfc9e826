"""Events: one port, two engines. A topic is an append-only log in partitions, read by groups."""
