"""OAuth2: how tokens are asked for, kept, renewed by one process at a time, and given up."""
