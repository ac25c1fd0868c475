"""What the identity service does: one function per use case, taking `tx` first."""
