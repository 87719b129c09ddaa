"""Reports: the same results as a table for people, JSON for programs, JUnit XML for build servers."""
