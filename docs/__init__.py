"""The documentation's generator: pages that repeat what the code says are written by it, and checked for staleness."""
