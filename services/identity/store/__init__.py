"""All SQL of the identity service: one function per statement."""
