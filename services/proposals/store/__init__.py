"""All SQL of the proposal service: one function per statement."""
