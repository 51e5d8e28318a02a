"""Any sender that follows Standard Webhooks, such as those that use Svix."""
