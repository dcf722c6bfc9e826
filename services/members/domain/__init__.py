"""What is true of members whatever stores or carries it: pure functions and values, no I/O."""
