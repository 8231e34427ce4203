#!/bin/sh
# Makes this instance an execution point of one annex, and powers it off when there is no more to do.
#
# EC2 user data, run once by cloud-init as root; a header sets BUNDLE_URL, or BUNDLE itself in base64, BUNDLE_WITHIN
# (seconds), LEASE_ENDS and ENDS_AT_LATEST (UTC, ISO 8601). Needs tar, coreutils, util-linux and iproute2; curl and HTCondor are installed where
# they lack.
# Environment: ANNEX_METADATA, where instance metadata is; CONDOR_CONFIG, for a personal HTCondor.
# Whatever fails here powers the instance off, which terminates it: it must never cost money for nothing.

set -eu
umask 022
METADATA=${ANNEX_METADATA:-http://169.254.169.254}
LAST_MINUTE=60 # seconds before the lease's end in which running jobs are asked to leave
MASTER=''
TIMER=''
WATCHER=''
WHY=''

log() { printf '%s annex: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >&2; }

die() {
    WHY=$*
    exit 1
}

now() { date +%s; }

# A sleep that a trap can end, with kill "$!".
nap() {
    sleep "$1" &
    wait "$!"
}

is_root() { [ "$(id -u)" = 0 ]; }

# Only the orderly ways: in a rehearsal this runs on somebody's own machine, in namespaces that these respect.
halt_machine() {
    is_root || return 0
    systemctl poweroff 2>/dev/null || poweroff 2>/dev/null || shutdown -h now 2>/dev/null || return 0
    sleep 120
    systemctl poweroff --force --force
}

leave() {
    status=$?
    trap - EXIT
    trap : TERM INT HUP
    set +e
    log "powering off: ${WHY:-a step of the boot script failed (status $status)}"
    for child in $TIMER $WATCHER; do
        kill "$child" 2>/dev/null
    done
    if [ -n "$MASTER" ] && kill -QUIT "$MASTER" 2>/dev/null; then
        (trap 'kill "$!"' TERM && nap 10 && kill -KILL "$MASTER") &
        killer=$!
        wait "$MASTER"
        kill "$killer" 2>/dev/null
    fi
    rm -rf "$WORK"
    halt_machine
    exit "$status"
}

# metadata PATH: one item of instance metadata, by IMDSv2; fails where there is none.
metadata() {
    token=$(curl -fs -m 5 --noproxy '*' -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' \
        "$METADATA/latest/api/token") &&
        curl -fs -m 5 --noproxy '*' -H "X-aws-ec2-metadata-token: $token" "$METADATA/latest/meta-data/$1"
}

# epoch MOMENT: seconds since 1970 of 2026-11-21T08:30:00Z; fails on any other form.
epoch() {
    case $1 in
    [0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z) date -u -d "$1" +%s ;;
    *) return 1 ;;
    esac
}

# The slot ad says when the lease ends and whether no job may come any more, and START follows it. $1: epoch seconds,
# $2: True or False. Until WARM_UNTIL the machine stays without work, too.
publish_lease() {
    file=$(cat "$WORK/config_dir")/61-annex-lease.config
    text="AnnexLeaseEnds = $1
AnnexDraining = $2"
    [ -z "${WARM_UNTIL:-}" ] || text="$text
AnnexWarm = $(warm "$2")"
    [ "$(cat "$file" 2>/dev/null)" != "$text" ] || return 0
    echo "$text" >"$file"
    kill -HUP "$(cat "$WORK/master")"
}

# Is it kept ready now? $1: whether no job may come any more.
warm() {
    until=$(epoch "$WARM_UNTIL") || until=0
    if [ "$1" = False ] && [ "$(now)" -lt "$until" ]; then echo True; else echo False; fi
}

# Follows the lease: the instance's tag, else the last one seen, else what the header says; a tag that is no moment
# means the outer bound, which nothing moves. Asks jobs to leave in the last minute, then ends everything.
keep_lease() {
    trap - EXIT
    trap 'kill "$!" 2>/dev/null; exit' TERM
    set +e
    latest=$(epoch "$ENDS_AT_LATEST") || latest=$(($(now) + 86400))
    ends=$(epoch "$LEASE_ENDS") || ends=$latest
    [ "$ends" -le "$latest" ] || ends=$latest
    seen='none yet'
    asked=''
    draining=False
    while :; do
        if tag=$(metadata tags/instance/htcondor:LeaseEnds) && [ "$tag" != "$seen" ]; then
            seen=$tag
            ends=$(epoch "$tag") || ends=$latest
            [ "$ends" -le "$latest" ] || ends=$latest
            log "the lease is tagged '$tag': it ends in $((ends - $(now))) s"
        fi
        if [ "$draining" = False ] && metadata tags/instance/htcondor:Draining >/dev/null; then
            draining=True
            log 'the annex was ended: no job is taken any more'
        fi
        period=5 # until the slot ad says it
        if [ -s "$WORK/master" ]; then
            publish_lease "$ends" "$draining"
            period=30
        fi
        left=$((ends - $(now)))
        [ "$left" -gt 0 ] || break
        pause=$((left - LAST_MINUTE))
        if [ "$pause" -le 0 ]; then
            pause=$left
            if [ -z "$asked" ] && [ -s "$WORK/master" ]; then
                asked=yes
                log 'last minute of the lease: jobs are asked to leave'
                kill -TERM "$(cat "$WORK/master")"
            fi
        fi
        [ "$pause" -le "$period" ] || pause=$period
        nap "$pause"
    done
    log 'the lease has ended'
    sleep 60 & # before the word that makes leave() end it: a child that has only been forked may miss that
    kill -TERM "$$"
    wait "$!"
    log 'still here a minute later'
    halt_machine
    kill -KILL "$$"
}

# User data is not run again after a reboot: without timer and guard an instance may only end.
end_at_reboot() {
    scripts=/var/lib/cloud/scripts/per-boot
    is_root && [ -d "$scripts" ] || return 0
    printf '#!/bin/sh\nexec systemctl poweroff\n' >"$scripts/annex"
    chmod 755 "$scripts/annex"
}

# One answer that doesn't come must not cost the machine: metadata is slow where many boot at once.
identify() {
    tries=0
    until INSTANCE=$(metadata instance-id) && TYPE=$(metadata instance-type) &&
        ZONE=$(metadata placement/availability-zone); do
        tries=$((tries + 1))
        [ "$tries" -lt 12 ] || die "no instance metadata at $METADATA"
        sleep 5
    done
    log "instance $INSTANCE, $TYPE in $ZONE"
}

# Three ways to keep every uid but root from the metadata address; the kernel or the image may lack the first ones.
close_by_rule() {
    ip rule add to "$HOST/32" uidrange 1-4294967294 priority 5 prohibit &&
        { no_ipv6 || ip -6 rule add to fd00:ec2::254/128 uidrange 1-4294967294 priority 5 prohibit; }
}

close_by_iptables() {
    iptables -I OUTPUT -d "$HOST" -m owner ! --uid-owner 0 -j REJECT &&
        { no_ipv6 || ip6tables -I OUTPUT -d fd00:ec2::254 -m owner ! --uid-owner 0 -j REJECT; }
}

close_by_nft() {
    nft add table inet annex &&
        nft add chain inet annex output '{ type filter hook output priority 0; }' &&
        nft add rule inet annex output ip daddr "$HOST" meta skuid != 0 reject &&
        nft add rule inet annex output ip6 daddr fd00:ec2::254 meta skuid != 0 reject
}

no_ipv6() {
    [ ! -e /proc/net/if_inet6 ] || return 1
    log 'this kernel has no IPv6, nothing to close there'
}

# Root still gets an answer and nobody is refused one: 7 is curl's word for that, and for nothing else here.
is_closed() {
    metadata instance-id >/dev/null || metadata instance-id >/dev/null || return 1
    answer=0
    setpriv --reuid=65534 --regid=65534 --clear-groups \
        curl -s -m 5 --noproxy '*' -o /dev/null "$METADATA/" || answer=$?
    [ "$answer" = 7 ]
}

# Jobs share the host's network, and metadata holds the instance's secrets.
close_metadata() {
    HOST=${METADATA#http://}
    HOST=${HOST%%[:/]*}
    if ! is_root; then
        case $HOST in
        127.*) log 'metadata stays open: a rehearsal without root' && return ;;
        *) die 'only root can close the metadata address' ;;
        esac
    fi
    for way in rule iptables nft; do
        if "close_by_$way" && is_closed; then
            log "metadata is closed to all but root, by $way"
            return
        fi
    done
    die 'the metadata address stays open to jobs'
}

# By a file and not an argument: the URL is as good as a key, and arguments are for all to see.
fetch_bundle() {
    if [ -n "${BUNDLE:-}" ]; then
        (umask 077 && printf %s "$BUNDLE" | base64 -d >"$WORK/bundle")
        log 'the bundle came with the user data'
        return
    fi
    until=$(($(now) + BUNDLE_WITHIN))
    (umask 077 && printf 'url = "%s"\n' "$BUNDLE_URL" >"$WORK/url")
    until curl -fsS --connect-timeout 10 -m 60 -K "$WORK/url" -o "$WORK/bundle" && tar -tzf "$WORK/bundle" >/dev/null; do
        [ "$(now)" -lt "$until" ] || die "no bundle after $BUNDLE_WITHIN s"
        sleep 5
    done
    log 'the bundle is here'
}

# The bundle goes where condor-annex-ec2 unpacks it too; 49ec2-instance.config is that service's file.
configure() {
    dirs=$(condor_config_val LOCAL_CONFIG_DIR)
    dir=${dirs##*[, ]}
    mkdir -p "$dir"
    tar --no-same-owner -xzf "$WORK/bundle" -C "$dir"
    cat >"$dir/49ec2-instance.config" <<CONFIG
EC2InstanceID = "$INSTANCE"
EC2InstanceType = "$TYPE"
STARTD_NAME = $INSTANCE
AnnexHourlyPrice = \$(AnnexPrice_$(printf %s "$TYPE" | tr '.-' '__'))
AnnexTokens = $dir/annex-tokens
CONFIG
    part_owners "$dir"
    echo "$dir" >"$WORK/config_dir"
    log "configured in $dir"
}

# Where anybody's jobs run side by side, each has an account of its own: as nobody they could read one another's files.
part_owners() {
    grep -q '^AnnexOwner = "+anybody"' "$1/60-annex.config" && is_root || return 0
    cpus=$(condor_config_val NUM_CPUS) && [ "$cpus" -gt 0 ] || die "HTCondor does not say how many CPUs: '${cpus:-}'"
    slot=0
    while [ "$slot" -lt "$cpus" ]; do
        slot=$((slot + 1))
        id "annex-slot$slot" >/dev/null 2>&1 || useradd --system --no-create-home --shell /bin/false "annex-slot$slot" >&2
        echo "SLOT1_${slot}_USER = annex-slot$slot"
    done >>"$1/49ec2-instance.config"
}

# In this order: condor-annex-ec2 may wait for minutes for AWS's tag, with condor queued behind it, and whoever starts
# second fails for the first one's lock.
stop_image_condor() {
    is_root || return 0
    for unit in condor condor-annex-ec2; do
        ! systemctl stop "$unit" 2>/dev/null || log "the image's own $unit does not run"
    done
}

# All that follows takes it, and Debian's cloud images come without.
need_curl() {
    ! command -v curl >/dev/null || return 0
    is_root || die 'this image has no curl'
    log 'installing curl'
    tries=0
    until if command -v apt-get; then
        apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=60 \
            install --yes --no-install-recommends ca-certificates curl
    else
        dnf -qy install curl
    fi >&2; do
        tries=$((tries + 1))
        [ "$tries" -lt 12 ] || die 'curl could not be installed'
        sleep 5
    done
}

# A stock image has no HTCondor; the bundle knows which one is wanted.
install_htcondor() {
    ! command -v condor_master >/dev/null || return 0
    is_root || die 'this image has no HTCondor'
    [ -f "$WORK/annex-boot/version" ] ||
        die 'this image has no HTCondor, and the bundle has no word of which to install'
    began=$(now)
    sh "$WORK/annex-boot/install.sh" "$(cat "$WORK/annex-boot/version")" >&2 || die 'HTCondor could not be installed'
    log "HTCondor is installed, in $(($(now) - began)) s"
    stop_image_condor
}

WORK=$(mktemp -d)
trap leave EXIT
trap 'WHY="told to end"; exit 0' TERM INT HUP
: "${BUNDLE:-${BUNDLE_URL:?}}" "${BUNDLE_WITHIN:?}" "${LEASE_ENDS:?}" "${ENDS_AT_LATEST:?}"
log "booting; the lease ends $LEASE_ENDS, at the latest $ENDS_AT_LATEST"
keep_lease &
TIMER=$!
end_at_reboot
stop_image_condor
need_curl
identify
close_metadata
fetch_bundle
tar --no-same-owner -xzf "$WORK/bundle" -C "$WORK" annex-boot
# shellcheck source=annex_core/bundle/notice.sh
. "$WORK/annex-boot/notice.sh"
watch_notices &
WATCHER=$!
install_htcondor
configure
# A SIGHUP before the master listens would end it.
(trap '' HUP && exec condor_master -f) &
MASTER=$!
echo "$MASTER" >"$WORK/master"
log 'condor_master runs'
ended=0
wait "$MASTER" || ended=$?
MASTER=''
WHY="condor_master has ended (status $ended)"
