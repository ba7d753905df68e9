#!/bin/bash
# Runs in namespaces of its own (mount, network, processes): installs from build directory $1 as root would, sets up, runs
# the services under runit with real users, and sends mail to a real one. Prints "all well" at the end.
set -eu
B=$1
configured() { sed -n "s/^.define POSTERN_$1 \"\(.*\)\"/\1/p" "$B/config.h"; }
bin=$(configured BINDIR) sbin=$(configured SBINDIR) etc=$(configured CONTROLDIR) run=$(configured RUNDIR) users=$(configured USER_PREFIX)
prefix=${bin%/bin}
scratch=$(mktemp -d /tmp/pn-install.XXXXXX)
mount -t tmpfs tmpfs "$scratch"
ip link set lo up
for d in etc usr var/lib/dpkg; do
	mkdir -p "$scratch/$d"/{upper,work}
	mount -t overlay overlay -o "lowerdir=/$d,upperdir=$scratch/$d/upper,workdir=$scratch/$d/work" /$d
done
for name in /usr/{sbin,lib}/sendmail /usr/bin/{mailq,newaliases}; do # another mail system of this machine
	sed -i "\\|^$name\$|d" /var/lib/dpkg/info/*.list
	dpkg-divert --quiet --no-rename --remove "$name" >/dev/null 2>&1 || :
	rm -f "$name"
done
[ ! -d "$etc" ] || mount -t tmpfs tmpfs "$etc" # what this machine has there is not what is installed here
mkdir -p "$prefix"
for d in "$prefix" /var/spool /var/log /run /home; do mount -t tmpfs tmpfs $d; done
export PATH=$sbin:$bin:/usr/sbin:/usr/bin:/sbin:/bin
step() { echo "== $*"; }
fail() {
	echo "failed: $*"
	tail -n 20 /var/log/postern/*/current 2>/dev/null || :
	exit 1
}
wait_for() {
	local i
	for i in $(seq 400); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	fail "$* did not come true"
}

step install
if [ "$B" = build ]; then make -s install >/dev/null; else make -s -f "$B/Makefile" install >/dev/null; fi
[ -x "$prefix/libexec/postern/warden" ] && [ -x "$sbin/postern" ]

step set up
# a version before had one user for each job, and an administrator gave one of them a group
useradd --system --user-group "${users}smtpd"
useradd --system --user-group --groups shadow "${users}authrun"
postern-setup --host mx.example.test >/dev/null
rm -rf $etc/tls
postern-setup >/dev/null 2>"$scratch/twice" && [ ! -s "$scratch/twice" ] || fail "set up twice: $(cat "$scratch/twice")" # twice is once
openssl x509 -noout -ext subjectAltName -in $etc/tls/cert.pem | grep -q 'DNS:mx.example.test$' || fail "the certificate has another name"
id ${users}queue >/dev/null && id ${users}smtpd-smtps >/dev/null
case " $(id -Gn ${users}authrun-pop3) " in *" shadow "*) ;; *) fail "an upgrade loses the groups of authrun's user" ;; esac
case " $(id -Gn ${users}authrun-pop3) " in *" ${users}authrun "*) ;; *) fail "authrun's users share no group" ;; esac
[ "$(readlink -f /usr/sbin/sendmail)" = "$bin/sendmail" ] && [ "$(readlink -f /usr/bin/mailq)" = "$bin/sendmail" ] || fail "programs do not find sendmail"
useradd -m -s /bin/sh carol
mkdir -p /home/carol/Maildir/{tmp,new,cur}
chown -R carol: /home/carol
postern check || fail "postern check refuses the samples"

step start
rm $etc-services/*/down
mkdir -p /etc/services-on
ln -s $etc-services/{send,smtpd,inject} /etc/services-on/
runsvdir -P /etc/services-on >/dev/null 2>&1 &
has_greeting() { swaks --server 127.0.0.1:25 --quit-after BANNER --timeout 2; }
wait_for has_greeting

step send
swaks --server 127.0.0.1:25 --from you@elsewhere.test --to carol@mx.example.test --body one >/dev/null || fail "not accepted"
mails() { [ "$(find /home/carol/Maildir/new -type f | wc -l)" -ge "$1" ]; }
wait_for mails 1
setpriv --reuid carol --regid carol --clear-groups sh -c 'printf "Subject: two\n\nbody\n" | '"$bin"'/sendmail carol' || fail "sendmail"
wait_for mails 2
grep -q "uid $(id -u carol)" /home/carol/Maildir/new/* || fail "the trace does not say who submitted"
[ "$(stat -c %U /home/carol/Maildir/new/* | sort -u)" = carol ]

step look
case $B in *asan*) ;; *) postern plan --live || fail "the plan is not what runs" ;; esac # the sanitizer lifts a limit
postern queue list >/dev/null
mailq >/dev/null && newaliases || fail "mailq or newaliases"
setpriv --reuid carol --regid carol --clear-groups postern queue list >/dev/null 2>&1 && fail "anybody can list the queue"
grep -q 'event=accept' /var/log/postern/smtpd/current
[ "$(stat -c %U /var/log/postern/smtpd/current)" = ${users}log ] || fail "the log is not written by its user"

step "other programs"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$scratch/key.pem" -out "$scratch/cert.pem" -days 2 \
	-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
CERTFILE=$scratch/cert.pem KEYFILE=$scratch/key.pem sslserver -1 -s -lx -u nobody 127.0.0.1 0 \
	sh -c 'echo "$(id -un) $SSL_PROTOCOL"' >"$scratch/port" 2>"$scratch/sslserver.log" &
served=$!
reached() { [ "$(sslclient -a "$scratch/cert.pem" 127.0.0.1 "$(cat "$scratch/port")" sh -c 'cat <&6' 2>&1)" = "nobody TLSv1.3" ]; }
wait_for reached
pgrep -u ${users}ucspitls -x ucspitls >/dev/null || fail "ucspitls does not have its user"
kill $served && wait $served || fail "sslserver ended with status $?"

step reload
echo 'carol@mx.example.test' >$etc/smtpd/badrcptto
sv hup /etc/services-on/smtpd >/dev/null
is_refused() { ! swaks --server 127.0.0.1:25 --from you@elsewhere.test --to carol@mx.example.test --quit-after RCPT --timeout 2; }
wait_for is_refused
echo 'no such thing' >$etc/smtpd/databytes
sv hup /etc/services-on/smtpd >/dev/null
wait_for grep -q 'event=reload-refused' /var/log/postern/smtpd/current
has_greeting >/dev/null || fail "a bad control item ended what ran"

step end
postern-setup --undo 2>"$scratch/undo" && fail "--undo removed the users of processes that run"
grep -q 'services run:.* send.*postern-setup --stop' "$scratch/undo" || fail "--undo does not say what runs"
id ${users}policy-smtpd >/dev/null || fail "--undo removed a user of a process that runs"
sv -w 15 force-stop /etc/services-on/* >/dev/null
pgrep -x warden >/dev/null && fail "a warden runs on"

step daemontools
pkill -HUP -x runsvdir
cp -R $etc-services /etc/services-dt
rm -rf /etc/services-dt/*/supervise /etc/services-dt/*/log/supervise $etc/smtpd/databytes $etc/smtpd/badrcptto
svscan /etc/services-dt >/dev/null 2>&1 &
wait_for has_greeting
swaks --server 127.0.0.1:25 --from you@elsewhere.test --to carol@mx.example.test --body three >/dev/null || fail "not accepted"
wait_for mails 3
kill $!
svc -dx /etc/services-dt/* /etc/services-dt/*/log
no_warden() { ! pgrep -x warden; }
wait_for no_warden
pgrep -u ${users}policy >/dev/null && fail "a process runs on"
postern-setup --undo >/dev/null
id ${users}queue >/dev/null 2>&1 && fail "a user was not removed"
[ ! -L /usr/sbin/sendmail ] || fail "a link to sendmail was not removed"
[ ! -e $etc/.made-by-setup ] || fail "something that was made is left"
[ ! -e $run ] || fail "keys and sockets were not removed"
[ "$(find /home/carol/Maildir/new -type f | wc -l)" -ge 2 ] || fail "mail was removed"
step "set up anew, beside another mail system"
echo other >/usr/sbin/sendmail
chown -R 59999 /var/spool/postern # as if the users had got other numbers
postern-setup --host mx.example.test >/dev/null 2>"$scratch/again" && fail "a queue of another uid is fine"
grep -q "chown -R ${users}queue: /var/spool/postern" "$scratch/again" || fail "the remedy is not said"
grep -q "sendmail belongs to another mail system" "$scratch/again" && [ "$(cat /usr/sbin/sendmail)" = other ] || fail "another's sendmail was replaced"
"$prefix/libexec/postern/warden" send >"$scratch/warden" 2>&1 && fail "a queue of another uid was taken"
grep -q "chown -R .* /var/spool/postern" "$scratch/warden" || fail "warden does not say the remedy: $(cat "$scratch/warden")"
chown -R ${users}queue: /var/spool/postern
diverted() { dpkg-divert --list /usr/sbin/sendmail | grep -q .; }
postern-setup --replace-sendmail >/dev/null || fail "the remedy does not help"
[ "$(readlink -f /usr/sbin/sendmail)" = "$bin/sendmail" ] || fail "--replace-sendmail did nothing"
diverted && fail "a name that no package owns was diverted"
postern-setup --undo >/dev/null
[ "$(cat /usr/sbin/sendmail)" = other ] || fail "the other mail system's sendmail is gone"
echo /usr/sbin/sendmail >>/var/lib/dpkg/info/base-files.list # a package's
postern-setup --replace-sendmail --host mx.example.test >/dev/null
[ "$(readlink -f /usr/sbin/sendmail)" = "$bin/sendmail" ] || fail "--replace-sendmail did nothing to a package's name"
diverted || fail "a package's upgrade would put its sendmail back"
postern-setup --undo >/dev/null
diverted && fail "--undo left dpkg's diversion"
[ "$(cat /usr/sbin/sendmail)" = other ] || fail "the package's sendmail is gone"
if [ "$B" = build ]; then make -s uninstall; else make -s -f "$B/Makefile" uninstall; fi
left=$(find "$prefix"/{bin,sbin,lib/postern,libexec,share} ! -type d 2>/dev/null) || :
[ -z "$left" ] || fail "uninstall left $left"
echo "all well"
