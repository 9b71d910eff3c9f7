#!/bin/sh
# Renders the interface screens of the corpus (1920x1080 PNG) with headless Chromium and scales the
# photograph, into target/corpus/. Needs chromium and ImageMagick; the photograph comes from Debian's
# mate-backgrounds, or from the JPEG named by PHOTO.
set -eu
cd "$(dirname "$0")"
out=../../target/corpus
photo=${PHOTO:-/usr/share/backgrounds/mate/nature/RainDrops.jpg}
mkdir -p "$out"
out=$(cd "$out" && pwd)
for page in form documentation source book terminal; do
    chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --hide-scrollbars --force-device-scale-factor=1 \
        --window-size=1920,1080 --screenshot="$out/$page.png" "file://$PWD/$page.html"
done
[ ! -f "$photo" ] || convert "$photo" -resize 1920x1080^ -gravity center -extent 1920x1080 \
    -depth 8 "PNG24:$out/photograph.png"
ls -l "$out"
