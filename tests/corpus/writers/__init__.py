"""Writers of file formats, for one small member each: what the standard library cannot write, or only correctly."""
