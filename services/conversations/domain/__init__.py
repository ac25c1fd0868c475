"""What the conversation service does: one function per use case."""
