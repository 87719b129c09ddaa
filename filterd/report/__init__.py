"""The daily report: what came, what was refused and why, what may have been refused wrongly, how the parts fare.

The attack it stops: one that is slow. A rule that refuses honest mail, a host that sends a little more each day, a list
that has died: no alert is ever raised of them, and somebody has to see the figures.
"""
