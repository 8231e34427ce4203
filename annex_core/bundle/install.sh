#!/bin/sh
# Installs HTCondor where an image has none: for boot.sh, as root, out of the bundle. $1: the access point's version.
#
# Debian and Ubuntu: the distribution's own package where it is of that version's series, else HTCondor's repository.
# Amazon Linux and the RHEL family: HTCondor's repository, and EPEL where it needs that. HTCondor's keys come from its
# site by TLS, and packages are checked by them; a mirror is whatever the image's own apt or dnf is configured to use.

set -eu
SITE=https://htcss-downloads.chtc.wisc.edu/repo
TRIES=5 # a machine that boots may not have its network yet, and another apt may hold the lock

# An X.0 is a series of its own, every other X is a part of the X.x that leads to the next.
series() {
    major=${1%%.*}
    minor=${1#*.}
    case ${minor%%.*} in
    0) echo "$major.0" ;;
    *) echo "$major.x" ;;
    esac
}

again() {
    try=1
    until "$@"; do
        [ "$try" -lt "$TRIES" ] || return 1
        try=$((try + 1))
        sleep 5
    done
}

apt() { apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"; }

apt_install() { again apt install --yes --no-install-recommends "$@"; }

# The package would start HTCondor, as a pool of its own, before it is configured.
without_services() {
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    status=0
    "$@" || status=$?
    rm -f "$policy"
    return "$status"
}

by_apt() {
    export DEBIAN_FRONTEND=noninteractive
    again apt update
    candidate=$(apt-cache policy condor | sed -n 's/^ *Candidate: *//p')
    if [ "$(series "${candidate:-none}")" != "$SERIES" ]; then
        apt_install ca-certificates curl
        mkdir -p /etc/apt/keyrings /etc/apt/sources.list.d
        again curl -fsS -m 60 "$SITE/keys/HTCondor-$SERIES-Key" -o /etc/apt/keyrings/htcondor.asc
        echo "deb [signed-by=/etc/apt/keyrings/htcondor.asc] $SITE/$ID/$SERIES $VERSION_CODENAME main" \
            >/etc/apt/sources.list.d/htcondor.list
        again apt update
        candidate=$(apt-cache policy condor | sed -n 's/^ *Candidate: *//p')
        if [ "$(series "${candidate:-none}")" != "$SERIES" ]; then
            echo "HTCondor $SERIES is not to be had for $PRETTY_NAME" >&2
            return 1
        fi
    fi
    without_services apt_install condor iproute2 procps
}

by_dnf() {
    release=${VERSION_ID%%.*}
    case $ID in
    amzn) platform=amzn$release ;;
    *) platform=el$release ;;
    esac
    case $ID in
    amzn) ;;
    rhel) again dnf -qy install "https://dl.fedoraproject.org/pub/epel/epel-release-latest-$release.noarch.rpm" ;;
    *) again dnf -qy install epel-release ;;
    esac
    # EPEL's packages need CodeReady Builder, which has other names here and there; EPEL's own crb knows most of them.
    [ "$ID" = amzn ] || crb enable || dnf config-manager --set-enabled "codeready-builder-for-rhel-$release-rhui-rpms" ||
        echo 'CodeReady Builder could not be enabled; going on without it' >&2
    again dnf -qy install "$SITE/$SERIES/htcondor-release-current.$platform.noarch.rpm"
    again dnf -qy install condor iproute procps-ng
}

SERIES=$(series "$1")
# shellcheck source=/dev/null
. /etc/os-release
echo "installing HTCondor $SERIES on $PRETTY_NAME" >&2
case " $ID ${ID_LIKE:-} " in
*' debian '*) by_apt ;;
*' amzn '* | *' rhel '*) by_dnf ;;
*)
    echo "HTCondor can't be installed on $PRETTY_NAME by this script: give it an image that has HTCondor" >&2
    exit 1
    ;;
esac
condor_version >&2
