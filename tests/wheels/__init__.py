"""What wheels there are, and what is run on those of emulated machines."""
