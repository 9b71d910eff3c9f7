#!/bin/sh
# Installs the Debian packages that a job needs and this machine lacks.
#   scripts/install.sh SET...    sets: build, demo, bench, peers, test
# What is there already is not touched; when nothing lacks, nothing is run but dpkg-query.
set -eu

packages_of() {
    case "$1" in
    # A C compiler, nasm and cmake: zstd, aws-lc, OpenH264 and libopus are built from source.
    build) echo gcc libc6-dev make nasm cmake ;;
    demo) echo tigervnc-standalone-server x11-xkb-utils xkb-data openbox xterm netsurf-gtk viewnior l3afpad \
        adwaita-icon-theme fonts-dejavu-core fonts-cantarell fonts-jetbrains-mono ;;
    test) echo xvfb xauth xclip x11-utils x11-xserver-utils xserver-xorg-core xserver-xorg-video-dummy \
        mousepad chromium firefox-esr python3 python3-venv procps postgresql util-linux rsyslog rsyslog-gnutls \
        libxml2-utils softhsm2 opensc libnss3-tools openssl pcscd libpcsclite-dev vsmartcard-vpcd \
        systemd squid x11vnc qemu-system-x86 xrdp xorgxrdp freerdp2-shadow-x11 \
        krb5-kdc krb5-admin-server python3-gssapi \
        iproute2 nftables mount libfaketime ;;
    bench) echo valgrind imagemagick ;;
    peers) echo tigervnc-standalone-server x11-xkb-utils xkb-data novnc websockify chromium fonts-dejavu-core \
        mate-backgrounds ;;
    *) echo "install.sh: no package set is called '$1'; there are: build, demo, bench, peers, test" >&2; return 1 ;;
    esac
}

[ $# -gt 0 ] || { echo "usage: scripts/install.sh SET...   (sets: build, demo, bench, peers, test)" >&2; exit 2; }
wanted=
for set in "$@"; do
    wanted="$wanted $(packages_of "$set")"
done

if ! command -v dpkg-query >/dev/null; then
    echo "install.sh: this is not a Debian system; install by hand what brings these:$wanted" >&2
    exit 0
fi
# shellcheck disable=SC2086 # a list of words
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p' || true)
missing=
for package in $wanted; do
    printf '%s\n' "$installed" | grep -qx "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install.sh: run this as root: apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    as_root=sudo
fi
echo "installing$missing"
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q </dev/null
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing </dev/null
