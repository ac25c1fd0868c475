"""What service templates, proposals and signatures are, and how they move. Pure."""
