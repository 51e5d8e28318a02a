"""What connectors and findings both have to know about packages: the words of ecosystems, and the order of versions."""
