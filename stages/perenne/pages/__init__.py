"""Pages for people: first the decision as sentences, then tables and charts."""
