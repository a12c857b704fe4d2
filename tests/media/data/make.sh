#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Makes the clips of the media tests anew. They are in the tree so that the tests do not depend on
# which encoders an ffmpeg has; run this only to change them.
set -eu
cd "$(dirname "$0")"
F="ffmpeg -hide_banner -loglevel error -y -threads 1"
BE="-flags +bitexact -fflags +bitexact"
V="-f lavfi -i testsrc2=size=160x90:rate=25:duration=1.2"
A="-f lavfi -i sine=frequency=440:sample_rate=44100:duration=1.2"
A48="-f lavfi -i sine=frequency=440:sample_rate=48000:duration=1.2"
X264="-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 12 -bf 2 -b_strategy 0 -crf 40"
AAC="-c:a aac -b:a 32k -ac 2"
OPUS="-c:a libopus -b:a 24k -ac 1"

# The way that the documentation tells people: no edit lists, shifted so that decoding starts at 0.
$F $V $A $X264 $AAC $BE -movflags +frag_keyframe+empty_moov+default_base_moof h264-aac.mp4
# A fragment for each frame.
$F $V $A $X264 $AAC $BE -movflags +frag_every_frame+empty_moov+default_base_moof h264-aac-every.mp4
# Edit lists: negative decoding times, AAC priming.
$F $V $A $X264 $AAC $BE -movflags +frag_keyframe+delay_moov+default_base_moof h264-aac-edit.mp4
# Base data offsets, one fragment of everything, 29.97 frames per second.
$F -f lavfi -i testsrc2=size=160x90:rate=30000/1001:duration=1 $A $X264 $AAC $BE \
  -movflags +frag_keyframe+empty_moov h264-aac-base.mp4
$F $V $A48 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 12 -b:v 60k $OPUS $BE \
  -movflags +frag_keyframe+empty_moov+default_base_moof vp9-opus.mp4
$F -f lavfi -i testsrc2=size=160x90:rate=25:duration=0.6 $A48 -c:v libaom-av1 -cpu-used 8 \
  -usage realtime -g 8 -b:v 60k $OPUS $BE -shortest \
  -movflags +frag_keyframe+delay_moov+default_base_moof av1-opus.mp4
# The header is written before the encoder's first frame: av1C is empty.
$F -f lavfi -i testsrc2=size=160x90:rate=25:duration=0.2 -c:v libaom-av1 -cpu-used 8 \
  -usage realtime -b:v 60k $BE -movflags +frag_keyframe+empty_moov+default_base_moof av1-bare.mp4
# Not fragmented: refused.
$F -f lavfi -i testsrc2=size=160x90:rate=25:duration=0.2 $X264 $BE progressive.mp4
$F -f lavfi -i testsrc2=size=160x90:rate=25:duration=0.2 $X264 $BE -movflags +faststart faststart.mp4
$F -f lavfi -i testsrc2=size=160x90:rate=25:duration=0.6 -c:v libx265 -x265-params \
  log-level=none:info=0:bframes=2:keyint=8 -crf 40 -tag:v hvc1 $BE \
  -movflags +frag_keyframe+empty_moov+default_base_moof hevc.mp4
