"""Engines that need a server of their own: found, or started for one test session, or the reason why not."""
