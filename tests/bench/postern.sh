# Postern from this tree, for the side-by-side benchmark. Defaults, except: the limit of sessions from one address (every
# session of the benchmark comes from one), and numbers for the processes' users.
POSTERN_TREE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
mta_caps() { echo "local starttls outbound"; }
mta_version() { (cd "$POSTERN_TREE" && git rev-parse --short HEAD 2>/dev/null) || echo tree; }
mta_install() {
  need_pkgs libcdb1 libseccomp2 libidn2-0
  (cd "$POSTERN_TREE" && ./configure --builddir="$W/build" >/dev/null && make -s -f "$W/build/Makefile" -j2) >"$W/build.log" 2>&1 || {
    tail -20 "$W/build.log" >&2
    return 1
  }
  etc_base
}
. "$BENCH_MTA_DIR/workloads.sh"
routes_use() { awk '{ print $1 ":" $2 ";" $3 }' >"$W/routes"; }
queue_forget() { rm -rf "$W/var/spool/postern"; }
postern_user() { printf '%s:%s:%s\n' "$1" "$2" "$2" >>"$W/control/uids"; }
mta_start() {
  local c=$W/control n=21950 u
  rm -rf "$c" "$W/prun"
  mkdir -p "$c/smtpd" "$c/send"
  for u in $("$W/build/bin/postern" plan --users | cut -d' ' -f1); do
    postern_user $u $n
    n=$((n + 1))
  done
  echo mx.local.test >"$c/me"
  printf 'local.test\nmx.local.test\n' >"$c/locals"
  echo "127.0.0.1:$PORT" >"$c/smtpd/listen"
  echo 1000 >"$c/smtpd/concurrencyincoming"
  echo 1000 >"$c/smtpd/concurrencyaddress"
  echo 1000 >"$c/smtpd/concurrencynetwork"
  [ -z "${CERT:-}" ] || printf '%s\n' "CERTFILE=$CERT" "KEYFILE=$KEY" >"$c/smtpd/variables"
  # mail for elsewhere is taken from this host, and goes to the sink
  echo '127.:allow,RELAYCLIENT=""' >"$c/smtpd/rules"
  echo ":127.0.0.1;$SINK_PORT" >"$c/smtproutes"
  [ ! -e "$W/routes" ] || cat "$W/routes" >>"$c/smtproutes"
  rm -f "$W/routes"
  mkdir -p "$W/var/spool"
  [ -z "$CERT" ] || printf 'CERTFILE=%s\nKEYFILE=%s\n' "$CERT" "$KEY" >"$c/smtpd/variables"
  ns_open
  ns_daemon "$W/build/bin/warden" -c "$c" -R "$W/prun" -q "$W/var/spool/postern" -l "$W/build/bin" send
  sleep 0.3
  ns_daemon "$W/build/bin/warden" -c "$c" -R "$W/prun" -q "$W/var/spool/postern" -l "$W/build/bin" smtpd
  wait_port $PORT
}
mta_stop() {
  local p
  for p in $(cg_pids); do
    [ "$(cat /proc/$p/comm 2>/dev/null)" = warden ] && kill -TERM $p
  done
  sleep 0.5
}
