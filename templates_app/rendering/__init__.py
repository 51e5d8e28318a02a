"""What the renderer of payload templates is made of, beside the language itself: bounds, scanner, writers, filters."""
