#!/bin/bash
# Cyrus IMAP 3.6: IMAP at PORT, LMTP at PORT+1.
#
#   CYRUS_ROOT=PREFIX/cyrus cyrus.sh start DIR PORT [accounts=N]
#   cyrus.sh stop DIR
#
# PREFIX is where install.sh has unpacked it: as a package it would push Dovecot out.
# Durable as by default: a message and its index are on the disk before it is acknowledged.
set -eu
. "$(dirname "$0")/peer.sh"

if [ "$verb" = stop ]; then
  end_process "$dir/run/master.pid"
  exit
fi
root=${CYRUS_ROOT:?where install.sh has unpacked Cyrus}
bin=$root/usr/lib/cyrus/bin
[ -x "$bin/master" ] || fail "no Cyrus in $root"
command -v saslpasswd2 >/dev/null || fail "saslpasswd2 is not installed (install.sh)"
accounts=$(value accounts 60 "$@")
imap=$port lmtp=$((port + 1))
unused "$imap" "$lmtp"
system_user cyrus
mkdir -p "$dir"/{run,spool,proc,lock,db,config/{db,proc,socket,user,quota,msg,log,sieve}}
chmod 755 "$dir"

cat >"$dir/imapd.conf" <<END
# Written by cyrus.sh at each start.
configdirectory: $dir/config
partition-default: $dir/spool
proc_path: $dir/proc
mboxname_lockpath: $dir/lock
idlesocket: $dir/run/idle
notifysocket: $dir/run/notify
lmtpsocket: $dir/run/lmtp
sievedir: $dir/config/sieve
cyrus_user: cyrus
cyrus_group: $(id -gn cyrus)
admins: cyrus
servername: $domain
defaultdomain: $domain
virtdomains: userid
unixhierarchysep: yes
altnamespace: yes
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: $dir/config/sasldb2
sasl_mech_list: PLAIN LOGIN
autocreate_quota: 0
autocreate_post: yes
duplicatesuppression: no
conversations: no
search_engine: none
maxlogins_per_host: 0
maxlogins_per_user: 0
END
cat >"$dir/cyrus.conf" <<END
START {
  recover cmd="$bin/ctl_cyrusdb -C $dir/imapd.conf -r"
  idled cmd="$bin/idled -C $dir/imapd.conf"
}
SERVICES {
  imap cmd="$bin/imapd -C $dir/imapd.conf -U 200" listen="127.0.0.1:$imap" proto=tcp4 prefork=4 maxchild=-1
  lmtp cmd="$bin/lmtpd -C $dir/imapd.conf -a" listen="127.0.0.1:$lmtp" proto=tcp4 prefork=2 maxchild=100
}
EVENTS {
  checkpoint cmd="$bin/ctl_cyrusdb -C $dir/imapd.conf -c" period=1440
}
END
if [ ! -s "$dir/config/sasldb2" ]; then
  for name in cyrus $(seq -f 'user%.0f' "$accounts"); do
    printf %s "$password" |
      saslpasswd2 -p -c -f "$dir/config/sasldb2" -u "$domain" "$name" 2>/dev/null ||
      fail "saslpasswd2 makes no account"
  done
fi
chown -R cyrus: "$dir"
libraries=$(echo "$root"/usr/lib/*-linux-gnu* "$root"/lib/*-linux-gnu*)
LD_LIBRARY_PATH=${libraries// /:} setsid "$bin/master" -C "$dir/imapd.conf" -M "$dir/cyrus.conf" \
  -p "$dir/run/master.pid" -l 1024 >"$dir/start.log" 2>&1 </dev/null &
until_answers 30 "$imap" "$lmtp"
site cyrus "$dir/run/master.pid" imap="$imap" lmtp="$lmtp"
