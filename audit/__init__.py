"""The proof: asks the live host what it enforces, and looks at it from outside as an attacker would.

A deploy that reports success proves that commands ran. The audit proves that the defences hold, or names those that
do not, with what was wanted and what was seen.
"""
