"""Lock files and SBOMs that are read: one module each, found by what they hold."""
