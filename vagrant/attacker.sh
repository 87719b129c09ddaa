#!/bin/sh
# Where attacks come from: Python with scapy, and an SMTP client that says what it is told to.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y --no-install-recommends install python3-scapy swaks
