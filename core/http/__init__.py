"""The only door for outbound HTTP: the guard (both clients) and the delivery client."""
