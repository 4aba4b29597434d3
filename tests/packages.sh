#!/bin/sh
# Installs what the tests need of Debian's packages, as root; otherwise says what is missing. `field`: what `make field`
# needs as well.
set -eu
missing=
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
# Chromium's headless shell: the same pages for a third of the CPU. Where it can't be had, the whole browser does.
windowless() {
  command -v chromium-headless-shell >/dev/null 2>&1 && return
  [ "$(id -u)" = 0 ] && apt-cache show chromium-headless-shell >/dev/null 2>&1 &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium-headless-shell >/dev/null 2>&1
}
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
windowless || need chromium chromium
need prometheus prometheus
need systemd-analyze systemd
if [ "${1:-}" = field ]; then
  need varnishd varnish
  need pgbouncer pgbouncer
  need mosquitto mosquitto
  need dropbear dropbear-bin
  need sshd openssh-server
  need tinyproxy tinyproxy
  need stunnel4 stunnel4
  need socat socat
  need php-fpm8.2 php8.2-fpm
  need puma puma
  need uwsgi uwsgi-core
  [ -e /usr/lib/uwsgi/plugins/python3_plugin.so ] || missing="$missing uwsgi-plugin-python3"
  need mariadbd mariadb-server-core
  need psql postgresql
  need dnsmasq dnsmasq-base
  need vsftpd vsftpd
  need beanstalkd beanstalkd
  need ngircd ngircd
  need microsocks microsocks
  need mini_httpd mini-httpd
  need ncat ncat
  need nats-server nats-server
  need waitress-serve python3-waitress
  need uvicorn uvicorn
  need ruby ruby
  need caddy caddy
  need distccd distcc
  need etcd etcd-server
  need exim4 exim4-daemon-light
  need gearmand gearman-job-server
  need h2o h2o
  need hitch hitch
  need icecast2 icecast2
  need named bind9
  need nc.openbsd netcat-openbsd
  need php php-cli
  need privoxy privoxy
  need slapd slapd
  need squid squid
  need starman starman
  need tcpserver ucspi-tcp
  need tcpsvd ipsvd
  need unbound unbound
  need unicorn unicorn
  need xinetd xinetd
  [ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || missing="$missing libnginx-mod-stream"
  for module in aiohttp tornado twisted; do
    /usr/bin/python3 -c "import $module" 2>/dev/null || missing="$missing python3-$module"
  done
fi
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
