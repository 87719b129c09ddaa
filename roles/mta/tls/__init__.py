"""TLS on the way in and out: stops who listens on the wire, and who sits in it and answers for somebody else."""
