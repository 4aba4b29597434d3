#!/bin/sh
# Installs what the tests need of Debian's packages, as root; otherwise says what is missing.
set -eu
missing=
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
PATH="$PATH:/usr/sbin:/sbin"
need nginx nginx-light
need redis-server redis-server
need node nodejs
need haproxy haproxy
need memcached memcached
need apache2 apache2-bin
need lighttpd lighttpd
need gunicorn gunicorn
need ss iproute2
need nft nftables
need unshare util-linux
need tshark tshark
need groff groff-base
need tmux tmux
need chromium chromium
need prometheus prometheus
need systemd-analyze systemd
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing for the tests:$missing"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "for all tests to run, install as root: apt-get install$missing"
fi
