# What the scripts of this directory share; sourced by them, never run.
#
# Each is called the same way:
#
#   NAME.sh start DIR PORT [KEY=VALUE...]   starts the server; all of its files lie in DIR and
#                                           all of its ports on 127.0.0.1, from PORT on
#   NAME.sh stop DIR                        stops it; its files stay
#
# `start` returns when the ports answer, and leaves DIR/site.json: what run.py has to know.
# Accounts are user1, user2, ... in the domain bench.example, all with one password.

domain=bench.example
password=bench-secret
# Mail of servers that want a user of the system for it belongs to this one.
mail_user=${BENCH_USER:-angarium-bench}
PATH=$PATH:/usr/sbin:/sbin

fail() { echo "${0##*/}: $*" >&2; exit 1; }

# value KEY DEFAULT ARGUMENT...: what the last KEY=... says
value() {
  local key=$1 found=$2 each
  shift 2
  for each; do [ "${each%%=*}" != "$key" ] || found=${each#*=}; done
  echo "$found"
}

answers() { (exec 9<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Refuses ports that something else listens on: it would be measured in the server's place.
unused() {
  local port
  for port; do ! answers "$port" || fail "something listens on port $port already"; done
}

# until_answers SECONDS PORT...
until_answers() {
  local left=$(($1 * 10)) port
  shift
  for port; do
    until answers "$port"; do
      [ $((left -= 1)) -gt 0 ] || fail "nothing answers on port $port"
      sleep 0.1
    done
  done
}

# end_process FILE: asks the process in the file to end, waits, and kills it in the end
end_process() {
  local pid left=150
  [ -s "$1" ] && read -r pid <"$1" || return 0
  pid=${pid// /}
  kill "$pid" 2>/dev/null || return 0
  while kill -0 "$pid" 2>/dev/null; do
    if [ $((left -= 1)) -le 0 ]; then
      kill -9 "$pid" 2>/dev/null
      break
    fi
    sleep 0.1
  done
  return 0
}

# system_user NAME: makes it when root may
system_user() {
  id -u "$1" >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin "$1"
}

# site NAME PID_FILE KEY=PORT...: writes DIR/site.json
site() {
  local name=$1 pid_file=$2 each
  shift 2
  {
    printf '{"name": "%s", "pid_files": ["%s"], "dir": "%s"' "$name" "$pid_file" "$dir"
    printf ', "user": "user%%d", "password": "%s", "recipient": "user%%d@%s"' "$password" "$domain"
    for each; do printf ', "%s": "127.0.0.1:%s"' "${each%%=*}" "${each#*=}"; done
    printf '}\n'
  } >"$dir/site.json"
}

[ $# -ge 2 ] || fail "start DIR PORT [KEY=VALUE...] | stop DIR"
verb=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
shift 2
case $verb in
  start) port=${1:?a port}; shift ;;
  stop) port=0 ;;
  *) fail "start or stop, not $verb" ;;
esac
# Many connections want many descriptors.
ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
