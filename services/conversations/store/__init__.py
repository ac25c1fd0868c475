"""All SQL of the conversation service: one function per statement."""
