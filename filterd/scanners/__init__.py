"""The engines: a pure codec each, and a small client on a unix socket above it.

The attack it stops: an engine that is confused by a message, cut off or replaced, and is then believed. Only the
exact answers of the protocol count; everything else is "no verdict".
"""
