#!/bin/sh
# Process 1 of a guest: mounts what a system has, runs /run/out/order.sh, writes what came of it beside that, powers off.
# The root is the host's own, read-only (uml), or an initramfs of parts of it (qemu). The kernel's command line gives:
#   estab_out       uml: the host's directory with the order; qemu: nothing, the results leave by the second serial line
#   estab_kept      directories that a tmpfs would hide, with : between
#   estab_modules, estab_modprobe   the kernel's modules, and what loads them
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 COLUMNS=120
mount -t proc proc /proc 2>/dev/null
mount -t sysfs sysfs /sys 2>/dev/null
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
ln -s /proc/self/fd /dev/fd 2>/dev/null
mount -t tmpfs tmpfs /mnt
mkdir /mnt/root
mount --bind / /mnt/root
for place in /run /tmp /var/tmp; do mount -t tmpfs -o mode=1777 tmpfs $place; done
for place in $(echo "$estab_kept" | tr : ' '); do
  [ -d "$place" ] || { mkdir -p "$place" && mount --bind "/mnt/root$place" "$place"; }
done
mkdir -p /run/home /run/lock /run/netns /run/out /run/lib/modules
export HOME=/run/home XDG_CACHE_HOME=/run/home/cache
ln -s "$estab_modules" "/run/lib/modules/$(uname -r)"
printf '#!/bin/sh\nexec "%s" -d /run "$@"\n' "$estab_modprobe" >/run/modprobe
chmod 755 /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
for module in tcp_diag veth; do /run/modprobe $module 2>/dev/null; done
ip link set lo up
ulimit -n 1048576
if [ -n "$estab_out" ]; then mount -t hostfs -o "$estab_out" none /run/out; else cp /order.sh /run/out; fi
cd /run/out || exit
setsid sh ./order.sh </dev/null >stdout 2>stderr
echo $? >code
dmesg >dmesg 2>/dev/null
if [ -z "$estab_out" ]; then
  stty -F /dev/ttyS1 raw -echo
  tar -cf /dev/ttyS1 .
fi
sync
echo 1 >/proc/sys/kernel/sysrq
echo o >/proc/sysrq-trigger
sleep 60
