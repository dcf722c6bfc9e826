"""Answering GraphQL: documents prepared once and kept, limits on what may be asked, and a short way to execute it."""
