"""Hours of mixed traffic, and what must be as it was at their end."""
