# The benchmark's Postfix, with routes for the workloads here; TLS to other hosts where they offer it, as Postern does.
. "$BENCH_DIR/mta/postfix.sh"
. "$BENCH_MTA_DIR/workloads.sh"
routes_use() {
	awk '{ print $1 " smtp:[" $2 "]:" $3 }' >"$ROOT/etc/postfix/transport"
	POSTFIX_EXTRA="transport_maps=texthash:/etc/postfix/transport smtp_tls_security_level=may"
}
queue_forget() { find "$W/var/spool/postfix/"{incoming,active,deferred,defer,maildrop,bounce,corrupt,hold} -type f -delete; }
