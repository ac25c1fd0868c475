"""All SQL of the order service: one function per statement."""
