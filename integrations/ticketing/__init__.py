"""Destinations that keep one ticket for each subject: what they ask for, and what becomes of a ticket with each event."""
