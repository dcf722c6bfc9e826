"""What is decided about a message on its way, without any input or output."""
