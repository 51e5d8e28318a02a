"""Any sender with an HMAC or a fixed token."""
