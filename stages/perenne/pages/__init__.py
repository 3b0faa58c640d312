"""Pages for people: what the statistics decided, in words first, and then in pictures."""
