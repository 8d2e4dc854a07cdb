#!/bin/bash
# Angarium: every standard port with PORT added (IMAP is PORT+143, SMTP PORT+25, LMTP PORT+24).
# Mail for sink.example goes to PORT+7, where run.py listens, over as many connections as Postfix has.
#
#   ANGARIUM=PROGRAM angarium.sh start DIR PORT [accounts=N] [log_level=N]
#   angarium.sh stop DIR
#
# As it comes, nothing set: an acknowledged message is durable.
set -eu
. "$(dirname "$0")/peer.sh"

if [ "$verb" = stop ]; then
  end_process "$dir/server.pid"
  rm -f "$dir/server.pid"
  exit
fi
program=${ANGARIUM:-$(dirname "$0")/../../target/release/angarium}
[ -x "$program" ] || fail "no program $program (cargo build --release, or set ANGARIUM)"
accounts=$(value accounts 60 "$@")
level=$(value log_level 3 "$@")
smtp=$((port + 25)) lmtp=$((port + 24)) sink=$((port + 7)) pwd=$((port + 106)) pop=$((port + 110)) imap=$((port + 143))
unused "$smtp" "$lmtp" "$sink" "$pwd" "$pop" "$imap"
(umask 077; echo "$password" >"$dir/postmaster")
setsid "$program" serve --base "$dir/base" --main-domain "$domain" --bind 127.0.0.1 \
  --port-offset "$port" --postmaster-password-file "$dir/postmaster" --log-level "$level" \
  >"$dir/start.log" 2>&1 </dev/null &
echo $! >"$dir/server.pid"
until_answers 30 "$pwd" "$imap" "$smtp"

# Accounts are made over PWD; one that is there already is as good.
if [ ! -e "$dir/accounts-made" ]; then
  exec 8<>"/dev/tcp/127.0.0.1/$pwd"
  say() {
    printf '%s\r\n' "$1" >&8
    IFS= read -r -t 20 line <&8 || fail "PWD closes the connection"
    case ${line%% *} in
      2*|3*|520) ;;
      *) fail "PWD: ${1%% *}: $line" ;;
    esac
  }
  IFS= read -r -t 20 line <&8 || fail "PWD does not greet"
  say "USER postmaster"
  say "PASS $password"
  for number in $(seq "$accounts"); do
    say "CreateAccount user$number@$domain {Password=\"$password\";}"
  done
  say "SetRouterTable \"Relay:sink.example = sink.example@[127.0.0.1]:$sink._via\""
  say 'UpdateModule SMTP {Listener={Ports=({PortNumber=25;},{PortNumber=24;Protocol=LMTP;});};AllowPrivateTargets=YES;ChannelsPerHost=20;ChannelsPerAddress=20;}'
  say QUIT
  exec 8>&-
  : >"$dir/accounts-made"
fi
until_answers 30 "$smtp" "$lmtp"
site angarium "$dir/server.pid" imap="$imap" smtp="$smtp" lmtp="$lmtp" pop="$pop" sink="$sink"
