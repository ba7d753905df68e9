# Workloads of mail for other hosts, beside those of the benchmark; sourced by the adapters here, in which each is a command.
# An adapter defines routes_use, which takes lines "domain address port" on standard input, before mta_start, and
# queue_forget, which takes away the queue of a server that does not run.
#	w3tls     as w3, to a sink that offers STARTTLS
#	w3many    N3 messages to 1,000 domains behind 100 addresses
#	w3dead    100 messages to a live destination, with none and with DEAD=50000 waiting for one that refuses connections
#	w1waiting w1 three times beside WAITING=100000 messages for a host that refuses connections, three times before and after that with none

# the benchmark's sink, for every address of the loopback interface
sink_for_many() {
	local source=$BENCH_DIR/tools/smtp-sinkc.c made=$WORK/bin/smtp-sink-many
	[ "$made" -nt "$source" ] || sed -e 's/htonl(INADDR_LOOPBACK)/htonl(INADDR_ANY)/' \
		-e 's/^  if (bind(/  setsockopt(ls, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);\n&/' "$source" |
		${CC:-gcc} -std=gnu11 -O2 -xc -o "$made" - -lssl -lcrypto
	SINK=$made
}
load() { # OUTPUT, count, recipient, further options
	local to=$1 n=$2 rcpt=$3
	shift 3
	"$WORK/bin/smtp-load" -p "$PORT" --connecting $MTA_CONNECTING -c "$n" -s "$SESSIONS" -l "$SIZE" --unique -r "$rcpt" --timeout 600 "$@" $FAST >"$to" ||
		say "  $MTA: $(grep -E '^(ok|failed|error)' "$to" | tr '\n' ' ')"
}
sink_open() { # OUTPUT, recipients, options of the sink
	local to=$1 n=$2
	shift 2
	"${SINK:-$WORK/bin/smtp-sinkc}" -p "$SINK_PORT" -n "$n" -T 180 "$@" >"$to" &
	SINK_PID=$!
	for _ in $(seq 50); do grep -q ready "$to" 2>/dev/null && break; sleep 0.05; done
}
sent() { # label, count, recipient, options of the sink: from the first connection to the last message in the sink
	local label=$1 n=$2 rcpt=$3 w=$OUT/$MTA.$1.$ROUND c0
	shift 3
	settle
	sink_open "$w.sink" "$n" "$@"
	c0=$(cg_cpu_us)
	load "$w.load" "$n" "$rcpt"
	wait $SINK_PID || say "  $MTA $label: only $(val "$w.sink" recipients) of $n delivered"
	TOOK=$(calc "$(val "$w.sink" last)-$(val "$w.load" start)" 4)
	settle
	CPU=$(calc "($(cg_cpu_us)-$c0)/$n" 0)
}
record() { # label
	local w=$OUT/$MTA.$1.$ROUND
	rec "$1" "delivered rcpt/s" "$(calc "$(val "$w.sink" recipients)/$TOOK" 1)"
	rec "$1" "CPU us/rcpt" "$CPU"
	rec "$1" "connections out" "$(val "$w.sink" connections)"
	rec "$1" "peak parallel" "$(val "$w.sink" peak_connections)"
}
w3tls() {
	routes_use </dev/null
	up && {
		sent w3tls "$N3" 'u%@dest.test' -C "$WORK/certs/p256.crt" -K "$WORK/certs/p256.key"
		record w3tls
		rec w3tls "handshakes" "$(val "$OUT/$MTA.w3tls.$ROUND.sink" handshakes)"
		down
	}
}
w3many() {
	local i
	sink_for_many
	routes_use < <(for i in $(seq 0 999); do echo "d$i.test 127.0.1.$((i % 100 + 1)) $SINK_PORT"; done)
	up && { sent w3many "$N3" 'u@d%.test'; record w3many; down; }
}
w3dead() {
	local dead=${DEAD:-50000} w=$OUT/$MTA.w3dead.$ROUND live before=() with=() median="sort -n | sed -n 3p"
	routes_use <<<"dead.test 127.0.0.99 $((SINK_PORT + 1))"
	up || return
	sent w3dead 500 'u%@dest.test' # warm
	for _ in 1 2 3 4 5; do sent w3dead 100 'u%@dest.test' && before+=("$TOOK"); done
	load "$w.dead" "$dead" 'u%@dead.test' -m 100
	settle
	for _ in 1 2 3 4 5; do sent w3dead 100 'u%@dest.test' && with+=("$TOOK"); done
	say "  $MTA w3dead: ${before[*]} s, then ${with[*]} s"
	live=$(printf '%s\n' "${before[@]}" | eval "$median")
	rec w3dead "ms for 100" "$(calc "$live*1000" 0)"
	live=$(printf '%s\n' "${with[@]}" | eval "$median")
	rec w3dead "ms for 100, $dead waiting" "$(calc "$live*1000" 0)"
	rec w3dead "PSS MiB, $dead waiting" "$(calc "$(pss_kib)/1024" 1)"
	down
	queue_forget # or what waits goes out in the next workload
}
waiting_rounds() { # label
	inbound w1warm "$N1" "$SESSIONS" $FAST
	for _ in 1 2 3; do inbound "$1" "$N1" "$SESSIONS" $FAST; done
}
w1waiting() {
	local waiting=${WAITING:-100000} i
	for i in 1 2; do # before, and after: the machine's own drift is in both
		up || return
		waiting_rounds w1waiting
		down
		[ $i = 2 ] && return
		routes_use <<<"dead.test 127.0.0.99 $((SINK_PORT + 1))"
		up || return
		load "$OUT/$MTA.waiting.$ROUND" "$waiting" 'u%@dead.test' -m 100
		waiting_rounds "w1waiting-$waiting"
		rec "w1waiting-$waiting" "PSS MiB" "$(calc "$(pss_kib)/1024" 1)"
		down
		queue_forget
	done
}
