# Runs inside a machine, as a privileged program of an image with a file /large of 64 MiB and 500 files of 4 KiB in /many:
# reads and writes through its root, each beside the same on the disks themselves. Prints "NAME ROOT RAW" in milliseconds,
# a line for each pair. Its caches are dropped before each. The raw writes go to a part of the disk that its file system has
# not come to: the machine is thrown away afterwards.
rounds=$1
mknod /layers b 254 0
mknod /disk b 254 16
mkdir -p /mnt
mount -t ext4 /disk /mnt
cp -r /many /mnt/many
far=15000

timed() {
    sync
    echo 3 > /proc/sys/vm/drop_caches
    read -r began _ < /proc/uptime
    eval "$1" > /dev/null 2>&1
    read -r ended _ < /proc/uptime
    took=$(((${ended%.*}${ended#*.} - ${began%.*}${began#*.}) * 10))
}

pair() {
    timed "$2"
    root=$took
    timed "$3"
    echo "$1 $root $took"
}

round() {
    pair layer-read 'dd if=/large of=/dev/null bs=1M' 'dd if=/layers of=/dev/null bs=1M count=64'
    pair write 'dd if=/dev/zero of=/written bs=1M count=64 conv=fsync' "dd if=/dev/zero of=/disk bs=1M count=64 seek=$far conv=fsync,notrunc"
    pair read 'dd if=/written of=/dev/null bs=1M' "dd if=/disk of=/dev/null bs=1M count=64 skip=$far"
    pair layer-files 'cat /many/*' 'cat /mnt/many/*'
    pair make-files 'cp -r /many /copies; sync' 'cp -r /mnt/many /mnt/copies; sync'
    rm -rf /copies /mnt/copies /written
}

round > /dev/null
while [ "$rounds" -gt 0 ]; do
    round
    rounds=$((rounds - 1))
done
