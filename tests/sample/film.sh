#!/bin/sh
# Makes a film to demonstrate with: colours that turn slowly, with a grain that costs bytes, and a low hum.
# `film.sh OUT SECONDS [KILOBITS]`: 1.5 Mbit/s or as many kilobits, 640x360, a key frame every 2 s, index at the front. Our own work.
set -eu
out=$1
seconds=$2
kilobits=${3:-1450}
unfinished="$out.$$.mp4"
trap 'rm -f "$unfinished"' EXIT
ffmpeg -v error -y \
  -f lavfi -i "gradients=s=640x360:r=24:d=$seconds:seed=7:type=spiral:speed=0.012:nb_colors=5:c0=0x041615:c1=0x0a8f8c:c2=0x5ad1c6:c3=0x2f5fc4:c4=0xf0a63a" \
  -f lavfi -i "sine=frequency=110:duration=$seconds" \
  -vf "noise=alls=14:allf=t" -af "volume=0.05" \
  -c:v libx264 -preset ultrafast -b:v "${kilobits}k" -maxrate "$((kilobits * 117 / 100))k" -bufsize "$((kilobits * 2))k" -g 48 -pix_fmt yuv420p \
  -c:a aac -b:a 48k -ac 1 -movflags +faststart "$unfinished"
mv "$unfinished" "$out"
