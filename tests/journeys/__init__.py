"""Journeys through the whole running platform, by its public doors alone."""
