"""Orders (financial records) and their tasks."""
