"""The resolver: stops answers that were forged on the way, and block lists that answer "listed" to everything."""
