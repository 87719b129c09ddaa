"""The lab: three networks and real hosts on one machine, so that every defence can be attacked before it is trusted.

Each host is a booted Debian root file system (systemd-nspawn on an overlay of a cached image) in a network
namespace of its own. ``python -m lab up`` makes a lab, ``python -m lab down`` removes all of it.
"""
