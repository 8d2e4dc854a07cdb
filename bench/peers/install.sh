#!/bin/bash
# Gets the peers on Debian, as root. Dovecot, Postfix and mbsync are installed, and none of them
# starts as a service; Cyrus, which cannot be installed beside Dovecot, is unpacked under PREFIX.
#
#   install.sh PREFIX
set -eu
prefix=${1:?where Cyrus is unpacked}
mkdir -p "$prefix/packages" "$prefix/cyrus"
prefix=$(cd "$prefix" && pwd)
export DEBIAN_FRONTEND=noninteractive

# Debian asks this file whether a service may start; 101 means no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
apt-get update -q </dev/null
apt-get install -qy --no-install-recommends dovecot-imapd dovecot-lmtpd dovecot-pop3d postfix isync \
  sasl2-bin libsasl2-modules libsasl2-modules-db </dev/null

cd "$prefix/packages"
if apt-get download -q cyrus-imapd cyrus-common libical3 libpcre3 libxapian30 </dev/null; then
  for package in *.deb; do dpkg -x "$package" "$prefix/cyrus"; done
  echo "Cyrus: CYRUS_ROOT=$prefix/cyrus"
else
  echo "Cyrus cannot be downloaded: its rows will be skipped" >&2
fi
