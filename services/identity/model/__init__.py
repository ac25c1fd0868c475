"""What identity knows: people, credentials, and the rules about them. Pure."""
