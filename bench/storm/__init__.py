"""Ten thousand clients start at once: what AWS's quotas make of that, by simulation. Times are in simulated seconds.

The waits between attempts and the number of calls in flight are decided by dynastash's own classes.
"""
