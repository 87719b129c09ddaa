"""Updates: stops known holes that nobody closes, and an update after which the filter runs and no longer filters."""
