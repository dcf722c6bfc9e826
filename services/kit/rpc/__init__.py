"""Calls between services: who calls (``trust``), what is answered (``server``), how one asks (``client``)."""
