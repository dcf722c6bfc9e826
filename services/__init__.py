"""Fanfare's services: members, campaigns, channels, gateway, and the kit they share."""
