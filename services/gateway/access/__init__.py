"""Who works here: agencies, operators and their roles, sessions, API keys, and the log of what they did."""
