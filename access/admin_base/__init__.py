"""What the admin pages of all rooms stand on. Importing it registers nothing."""
