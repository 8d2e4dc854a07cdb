#!/bin/bash
# Postfix: SMTP at PORT, delivering over LMTP to another server.
#
#   postfix.sh start DIR PORT store=SITE.json [processes=N]
#   postfix.sh stop DIR
#
# SITE.json is what the other server's script has written. Postfix makes each message durable in
# its queue before it is acknowledged, and so does the store behind it once more. Mail for
# sink.example goes to PORT+700, where run.py listens.
set -eu
. "$(dirname "$0")/peer.sh"

settings=$dir/etc
running() { postfix -c "$settings" status >/dev/null 2>&1; }
if [ "$verb" = stop ]; then
  [ -e "$settings/main.cf" ] || exit 0
  postfix -c "$settings" stop >/dev/null 2>&1 </dev/null || true
  for _ in $(seq 100); do running || exit 0; sleep 0.1; done
  end_process "$dir/queue/pid/master.pid"
  exit
fi
command -v postfix >/dev/null || fail "Postfix is not installed (install.sh)"
store=$(value store "" "$@")
processes=$(value processes 60 "$@")
[ -s "$store" ] || fail "store=SITE.json of the server that keeps the mail"
fact() { sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p" "$store"; }
lmtp=$(fact lmtp) imap=$(fact imap)
sink=$((port + 700))
unused "$port" "$sink"
mkdir -p "$settings" "$dir/queue" "$dir/data"
chmod 755 "$dir"
chown postfix: "$dir/data"

cat >"$settings/main.cf" <<END
# Written by postfix.sh at each start.
compatibility_level = 3.6
queue_directory = $dir/queue
data_directory = $dir/data
mail_owner = postfix
setgid_group = postdrop
maillog_file = $dir/data/postfix.log
maillog_file_prefixes = $dir
myhostname = mx.$domain
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
virtual_mailbox_domains = $domain
virtual_mailbox_maps = static:here
virtual_transport = lmtp:inet:$lmtp
relay_domains = sink.example
transport_maps = inline:{sink.example=smtp:[127.0.0.1]:$sink}
smtp_destination_concurrency_limit = 20
# Nothing else leaves this machine.
default_transport = error:no mail leaves the bench
relay_transport = error:no mail leaves the bench
disable_dns_lookups = yes
smtpd_peername_lookup = no
default_process_limit = $processes
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
in_flow_delay = 0
lmtp_destination_concurrency_limit = 20
initial_destination_concurrency = 20
lmtp_connection_reuse_count_limit = 0
message_size_limit = 67108864
mailbox_size_limit = 0
END
cat >"$settings/master.cf" <<END
127.0.0.1:$port inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
lmtp unix - - n - - lmtp
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
showq unix n - n - - showq
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
END
postfix -c "$settings" start >"$dir/start.log" 2>&1 </dev/null || fail "$(cat "$dir/start.log")"
until_answers 20 "$port"
site "postfix+$(fact name)" "$dir/queue/pid/master.pid" smtp="$port" imap="${imap#*:}" sink="$sink"
# Both servers do the work, so both are counted.
pid_file=$(sed -n 's/.*"pid_files": \["\([^"]*\)"\].*/\1/p' "$store")
sed -i "s|\"pid_files\": \[|&\"$pid_file\", |" "$dir/site.json"
