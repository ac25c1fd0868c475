"""Talk on projects: conversations, messages, staff-only notes."""
