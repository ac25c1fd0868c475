"""What the engagement service does: one function per use case."""
