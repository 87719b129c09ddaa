"""The way back: what a host was before deploys changed it, so that none of them, good or bad, is for ever."""
