"""What the proposal service does: one function per use case."""
