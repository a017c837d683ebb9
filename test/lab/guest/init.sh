#!/bin/sh
# PID 1 of the lab's guest. The kernel mounts the host's / read-only (hostfs). Stage 1 lays a tmpfs
# overlay over it and moves in, so that everything is writable and nothing reaches the host. Stage 2
# prepares the machine and then either runs one job or serves the control line until told to stop.
#
# From the kernel command line: LAB_EXCHANGE, a host directory that host and guest both write:
#   mounts     one host directory a line, mounted read-write at its own path
#   modules    one line, the host directory of the kernel's modules (absent: all is built in)
#   job.sh     the one job; its output goes to `out` and `err`, its exit code to `exit`
# Without job.sh, serial line 0 carries orders (see control.sh).
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb LANG=C.UTF-8

power_off() {
  sync
  echo 1 >/proc/sys/kernel/sysrq
  echo o >/proc/sysrq-trigger
  sleep 100
}

# Newer mount programs hand options over one by one, and then the kernel wants a name for the path.
mount_host() {
  mkdir -p "$2"
  mount -t hostfs -o "$1" hostfs "$2" 2>/dev/null || mount -t hostfs -o "hostfs=$1" hostfs "$2"
}

if [ "$LAB_STAGE" != 2 ]; then
  mount -t proc proc /proc
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p /run/top/upper /run/top/work /run/top/root
  if read -r modules <"$LAB_EXCHANGE/modules"; then modprobe -d "$modules" overlay; fi 2>/dev/null
  mount -t overlay overlay \
    -o lowerdir=/,upperdir=/run/top/upper,workdir=/run/top/work /run/top/root || power_off
  cd /run/top/root && mkdir -p .host && pivot_root . .host || power_off
  exec env LAB_STAGE=2 chroot . /bin/sh "$0"
fi

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null || mount -t tmpfs -o mode=755 dev /dev
for node in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0' 'ptmx 5 2'; do
  set -- $node
  [ -e "/dev/$1" ] || mknod -m 666 "/dev/$1" c "$2" "$3"
done
mkdir -p /dev/pts /dev/shm /dev/net
[ -e /dev/net/tun ] || mknod -m 666 /dev/net/tun c 10 200
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
[ -e /dev/stdout ] || { ln -s fd/0 /dev/stdin; ln -s fd/1 /dev/stdout; ln -s fd/2 /dev/stderr; }
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null
mkdir -p /run/lock /run/netns /run/home /etc/netns
export HOME=/run/home

# Everything below reads host files through mounts of their own: a host file that changes while the
# guest runs would be stale when seen through the overlay.
mount_host "$LAB_EXCHANGE" /run/exchange
while read -r directory; do mount_host "$directory" "$directory"; done </run/exchange/mounts

if [ -e /run/exchange/modules ]; then
  read -r modules </run/exchange/modules
  mount_host "$modules/lib/modules" /lib/modules
  names=$(sed -e 's/#.*//' "$(dirname "$0")/modules.list")
  # One call a module: a name that this kernel lacks must not stop the rest.
  for name in $names; do modprobe -q "$name" || echo "$name"; done >/run/exchange/modules-missing
fi

hostname lvs-lab
ip link set lo up
echo '3 4 1 3' >/proc/sys/kernel/printk
# A fork of a process that mapped an io_uring panics this kind of guest.
echo 2 2>/dev/null >/proc/sys/kernel/io_uring_disabled
ulimit -n 65536

if [ -e /run/exchange/job.sh ]; then
  [ -e /run/exchange/in ] && exec </run/exchange/in || exec </dev/null
  setsid sh /run/exchange/job.sh >>/run/exchange/out 2>>/run/exchange/err
  code=$?
  sync
  echo $code >/run/exchange/exit
else
  sh "$(dirname "$0")/control.sh"
fi
power_off
