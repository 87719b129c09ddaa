"""What a host is like, without changing it: each defence up to the highest level, a score, its level, and what is left to do."""
