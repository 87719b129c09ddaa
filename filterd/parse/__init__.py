"""Takes messages apart. Runs only in parse workers: one process a message, no network, bounded, killed when late.

The attack it stops: content that is harmless as the filter reads it and harmful as the recipient's program does.
Each content is decoded in every way that some program would, and each result is offered to the virus engine.
"""
