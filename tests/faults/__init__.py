"""Faults and bad input: attackers, careless peers, broken networks, full tables."""
