"""The packet filter: stops every packet that no declared service needs, in and out, on both IP families."""
