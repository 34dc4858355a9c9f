"""What a report says of a sweep: how each architecture was tuned, and what that changed."""
