"""What services say to each other: data only, additive changes only, one module per owner."""
