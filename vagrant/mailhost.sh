#!/bin/sh
# The protected mail server: lab/sink.py under systemd, recording what arrives in /var/spool/sink.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y --no-install-recommends install python3-aiosmtpd
install -D -m 644 /tmp/sink.py /usr/local/lib/bastide-lab/sink.py
install -d -o nobody -g nogroup -m 755 /var/spool/sink
cat >/etc/systemd/system/sink.service <<'UNIT'
[Unit]
Description=The protected mail server: a sink that records what arrives
[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/bastide-lab/sink.py --port 25 --spool /var/spool/sink
User=nobody
AmbientCapabilities=CAP_NET_BIND_SERVICE
[Install]
WantedBy=multi-user.target
UNIT
# A mail server that the box brings would hold port 25.
systemctl disable --now exim4.service 2>/dev/null || true
systemctl daemon-reload
systemctl enable sink.service
systemctl restart sink.service
