# The first process of a machine that nodes.py makes: mounts what the machine has of its own, starts sshd, says "ready".
# What is mounted here, no other machine sees.
set -eu
STAGE=/srv/stage
mount -t tmpfs tmpfs /srv
mkdir -p "$HOME/.ssh" "$HOME/etc" "$STAGE/venv" "$STAGE/checkout" "$STAGE/network"
mount --bind "$FOLDER" "$STAGE/network"
mount --bind "$VENV" "$STAGE/venv"
mount --bind "$CHECKOUT" "$STAGE/checkout"
for folder in /tmp /dev/shm /run; do mount -t tmpfs tmpfs $folder; done
chmod 1777 /tmp /dev/shm
# The checkout itself is hidden, so that what runs here is what was shipped here; its packages stay.
mkdir -p "$CHECKOUT"
mount -t tmpfs tmpfs "$CHECKOUT"
mkdir -p "$VENV"
mount --bind -o ro "$STAGE/venv" "$VENV"
mkdir -p /run/sshd
# Another home for root, names for the machines, and no name server to wait for.
sed "s|^root:.*|root:x:0:0:root:$HOME:/bin/bash|" /etc/passwd > "$HOME/etc/passwd"
printf '%s' "$HOSTS" > "$HOME/etc/hosts"
: > "$HOME/etc/resolv.conf"
for file in passwd hosts resolv.conf; do mount --bind "$HOME/etc/$file" /etc/$file; done
cp "$STAGE/network/id_ed25519.pub" "$HOME/.ssh/authorized_keys"
cp "$STAGE/network/host_key" "$HOME/.ssh/host_key"
case $NAME in
laptop)
    cp "$STAGE/network/id_ed25519" "$HOME/.ssh/"
    rsync -a --exclude=/.venv --exclude=/results/runs --exclude=__pycache__ --exclude='.*_cache' \
        --exclude=/.hypothesis --exclude='*.egg-info' "$STAGE/checkout/" "$HOME/hsicl/"
    ln -s "$VENV" "$HOME/hsicl/.venv"
    ;;
*)
    cp /etc/skel/.bashrc /etc/skel/.profile "$HOME/"
    $(command -v sshd) -f /dev/null -h "$HOME/.ssh/host_key" -o UsePAM=no -o PidFile=none \
        -o PermitRootLogin=prohibit-password -o UseDNS=no -o PrintLastLog=no
    ;;
esac
mkdir "$HOME/shared"
mount --bind "$STAGE/network/shared" "$HOME/shared"
umount -l "$STAGE/network" "$STAGE/checkout"
hostname "$NAME"
ip link set lo up
echo ready
# bash buries the orphans of this machine while it waits.
while :; do sleep 1000 & wait $!; done
