"""E-mail over SMTP: messages compiled once, kept connections, and the next envelope sent with the previous message."""
