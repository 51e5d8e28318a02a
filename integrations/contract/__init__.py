"""What a connector is made of: its declared fields and the bases of its capabilities. Connectors import from here only."""
