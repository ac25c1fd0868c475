"""Organisations, users (staff and clients), sessions, API tokens."""
