"""Service templates, proposals and their items, signatures, and the sign flow."""
