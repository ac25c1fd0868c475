"""All SQL of the engagement service: one function per statement."""
