"""What the order service does: one function per use case."""
