"""The disguise corpus: mail in which the EICAR test file is dressed up so that a filter may overlook it.

Each variant is code that puts any payload of the right length into one disguise; with the test file it must be
found or refused, with a harmless text of the same length (the twin) it must pass. The test file itself stands in
no file of this repository. `python -m tests.corpus --help` runs and writes the corpus.
"""
