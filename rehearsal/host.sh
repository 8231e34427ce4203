# A host's first process, in new namespaces: makes the root, waits until the host is wired up, becomes init.
# Usage: sh host.sh POWEROFF MOUNT_POINT LOWER_LAYERS SHARES HOSTNAME INIT...
# Prints its process id, as its parent's namespace counts, once the root is in place; goes on when stdin closes.
set -eu
poweroff=$1 space=$2 lower=$3 shares=$4 name=$5
shift 5
read -r pid rest < /proc/self/stat

mount -t tmpfs -o mode=755 tmpfs "$space"
cd "$space"
mkdir -p root upper/usr/local/sbin upper/usr/sbin work
for program in poweroff shutdown halt; do
    install -m 755 "$poweroff" "upper/usr/local/sbin/$program"
    install -m 755 "$poweroff" "upper/usr/sbin/$program" # for who calls it by its path
done
mount -t overlay -o "lowerdir=$lower,upperdir=$space/upper,workdir=$space/work" overlay root
cd root

mount -t proc proc proc
mount -t sysfs -o ro sysfs sys # a fresh one shows no cgroups, so HTCondor tries none
mount -t tmpfs -o mode=755,size=64k tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/full c 1 7
mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9
mknod -m 666 dev/tty c 5 0
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mount -t tmpfs -o mode=755 tmpfs run
mkdir -m 1777 run/lock
IFS=:
for share in $shares; do
    mkdir -p ".$share"
    mount -o bind,ro "$share" ".$share"
done
unset IFS
rm -f etc/resolv.conf # nobody answers: with a server named there each look-up would take seconds to fail

hostname "$name"
pivot_root . .
umount -l .
cd /

echo "$pid"
cat > /dev/null
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root \
    tini -s -- "$@" < /dev/null >&2
