"""Engagements (work relationships) and their projects."""
