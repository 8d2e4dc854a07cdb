#!/bin/bash
# Dovecot 2.3: IMAP at PORT, LMTP at PORT+1, POP3 at PORT+2 if it is installed.
#
#   dovecot.sh start DIR PORT [format=sdbox|mdbox|maildir] [fsync=optimized|always|never]
#   dovecot.sh stop DIR
#
# Set up as Dovecot's own guides advise for speed, with its default durability (`optimized`: a
# message is on the disk before it is acknowledged): log-in processes stay, a mail process
# serves many sessions one after the other, verified passwords are remembered.
set -eu
. "$(dirname "$0")/peer.sh"

if [ "$verb" = stop ]; then
  end_process "$dir/run/master.pid"
  exit
fi
format=$(value format sdbox "$@")
fsync=$(value fsync optimized "$@")
imap=$port lmtp=$((port + 1)) pop=$((port + 2))
protocols="imap lmtp" more=()
if [ -x /usr/lib/dovecot/pop3 ]; then
  protocols+=" pop3" more=(pop="$pop")
fi
case $format in
  sdbox) place='sdbox:~/sdbox' ;;
  mdbox) place='mdbox:~/mdbox' ;;
  maildir) place='maildir:~/Maildir' ;;
  *) fail "format=$format" ;;
esac
command -v dovecot >/dev/null || fail "Dovecot is not installed (install.sh)"
unused "$imap" "$lmtp" "$pop"
system_user "$mail_user"
mkdir -p "$dir/run" "$dir/state" "$dir/home"
chmod 755 "$dir"
chown "$mail_user:" "$dir/home"

cat >"$dir/dovecot.conf" <<END
# Written by dovecot.sh at each start. Not for real use: everybody exists, with one password.
base_dir = $dir/run
state_dir = $dir/state
log_path = $dir/dovecot.log
instance_name = bench-$port
protocols = $protocols
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_format = %Ln
auth_cache_size = 8M
passdb {
  driver = static
  args = password={PLAIN}$password
}
userdb {
  driver = static
  args = uid=$mail_user gid=$mail_user home=$dir/home/%n allow_all_users=yes
}
first_valid_uid = 1
mail_location = $place
mail_fsync = $fsync
mailbox_list_index = yes
maildir_very_dirty_syncs = yes
mail_max_userip_connections = 0
namespace {
  inbox = yes
  separator = /
}
default_client_limit = 8192
default_process_limit = 4096
default_vsz_limit = 1G
protocol lmtp {
  postmaster_address = postmaster@$domain
}
service imap-login {
  service_count = 0
  process_min_avail = 2
  process_limit = 2
  inet_listener imap {
    port = $imap
  }
  inet_listener imaps {
    port = 0
  }
}
service imap {
  service_count = 200
  process_min_avail = 2
}
service lmtp {
  process_min_avail = 2
  inet_listener lmtp {
    port = $lmtp
  }
}
$([ ${#more[@]} = 0 ] || echo "service pop3-login {
  service_count = 0
  inet_listener pop3 {
    port = $pop
  }
  inet_listener pop3s {
    port = 0
  }
}")
service anvil {
  client_limit = 16384
}
service auth {
  client_limit = 16384
}
service stats {
  client_limit = 16384
}
END
dovecot -c "$dir/dovecot.conf" >"$dir/start.log" 2>&1 </dev/null || fail "$(cat "$dir/start.log")"
until_answers 20 "$imap" "$lmtp"
site "dovecot-$format" "$dir/run/master.pid" imap="$imap" lmtp="$lmtp" "${more[@]}"
