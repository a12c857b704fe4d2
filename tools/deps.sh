#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Installs what this project needs from Debian's archive; the only script of the project that
# changes the system. It says what it will do first, and does nothing when nothing is missing.
#
#   tools/deps.sh GROUP...           install what is missing of these groups
#   tools/deps.sh --check GROUP...   only say what is missing; status 1 when something is
#
# Node is not among the packages: the Node of the tests comes as a Python wheel in the build tree,
# so that a system's own nodejs and npm are never touched.
set -eu

id_of() { # the field $1 of os-release, or nothing
  sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" /etc/os-release 2>/dev/null || :
}

packages_of() {
  case $1 in
  build) # compile and link the programs
    echo gcc g++ libc6-dev meson ninja-build pkgconf uthash-dev \
      libgnutls28-dev libngtcp2-dev libngtcp2-crypto-gnutls-dev libnghttp3-dev libuv1-dev \
      libmicrohttpd-dev libcurl4-gnutls-dev libjansson-dev libtomlplusplus-dev
    ;;
  demo) # the Python venv whose Node bundles the page; the source of the test pattern
    echo python3 python3-venv ffmpeg
    ;;
  test) # clang with its runtimes is for fuzzing
    echo libcmocka-dev chromium iproute2 clang "libclang-rt-$(clang_version)-dev"
    ;;
  *)
    echo "deps.sh: no group named '$1' (build, demo, test)" >&2
    exit 2
    ;;
  esac
}

clang_version() { # libclang-rt has the version in its name and must match what 'clang' brings
  if [ "$codename" = bookworm ]; then echo 14; else echo 19; fi
}

# The oldest version that will do, where Debian 12 by itself has an older one.
minimum_of() {
  case $1 in
  libngtcp2-dev | libngtcp2-crypto-gnutls-dev) echo 1.11 ;;
  libnghttp3-dev) echo 1.8 ;;
  esac
}

is_installed() {
  found=$(dpkg-query -W -f='${db:Status-Status} ${Version}' "$1" 2>/dev/null) || return 1
  [ "${found%% *}" = installed ] || return 1
  minimum=$(minimum_of "$1")
  [ -z "$minimum" ] || dpkg --compare-versions "${found#* }" ge "$minimum"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "make deps: not root and there is no sudo; run it as root" >&2
    exit 1
  fi
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

# One line for each package index that apt is set up to read: address, suite, code name.
# Asking apt covers both styles of source files, wherever they are.
indexes() {
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(CODENAME)' 'Created-By: Packages'
}

sources_file=/etc/apt/sources.list.d/moq-relay-backports.sources
pin_file=/etc/apt/preferences.d/moq-relay-backports
backported='libngtcp2* libnghttp3*'

write_file() { # path; contents on stdin
  as_root tee "$1" >/dev/null
  as_root chmod 644 "$1"
}

# Without this pin the backports rank below Debian 12's own ngtcp2 and nghttp3.
write_pin() {
  printf 'Package: %s\nPin: release n=bookworm-backports\nPin-Priority: 500\n' "$backported"
  # A source that only we wanted must not offer anything else; one that was there before is its
  # owner's business.
  if [ -e "$sources_file" ]; then
    printf '\nPackage: *\nPin: release n=bookworm-backports\nPin-Priority: -1\n'
  fi
}

enable_backports() {
  if ! indexes | grep -q ' bookworm-backports '; then
    mirror=$(indexes | awk '/^(http|https|mirror)/ && ($2 == "bookworm" || $3 == "bookworm") \
      { print $1; exit }')
    if [ -z "$mirror" ]; then
      echo "make deps: apt has no source for Debian 12 (bookworm); add bookworm-backports" >&2
      exit 1
    fi
    echo "  writing $sources_file ($mirror)"
    printf 'Types: deb\nURIs: %s\nSuites: bookworm-backports\nComponents: main\nSigned-By: %s\n' \
      "$mirror" /usr/share/keyrings/debian-archive-keyring.gpg | write_file "$sources_file"
  fi
  echo "  writing $pin_file"
  write_pin | write_file "$pin_file"
}

# apt's own plan, checked before it is carried out.
refuse_surprises() {
  plan=$(apt-get -s --no-install-recommends install "$@")
  bad=$(echo "$plan" | grep -E '^(Remv .*|Inst (nodejs|npm) .*)$' || :)
  if [ -n "$bad" ]; then
    echo "make deps: apt would do this as well, so nothing was installed:" >&2
    echo "$bad" >&2
    exit 1
  fi
  echo "make deps: $(echo "$plan" | grep -c '^Inst ') packages in all with what these depend on"
}

install_missing() {
  echo "make deps: will install from Debian, without recommended packages:"
  echo "$missing" | tr ' ' '\n' | sed '/^$/d' | paste -sd' ' | fold -s -w 92 | sed 's/^/  /'
  if [ "$codename" = bookworm ] && echo "$missing" | grep -qE 'ngtcp2|nghttp3'; then
    echo "  (ngtcp2 and nghttp3 from bookworm-backports, and nothing else from there)"
    enable_backports
  fi
  apt_get update
  # shellcheck disable=SC2086 # a list of names
  refuse_surprises $missing
  # shellcheck disable=SC2086
  apt_get install -y --no-install-recommends --no-remove $missing
}

check_only=
if [ "${1-}" = --check ]; then
  check_only=yes
  shift
fi
codename=$(id_of VERSION_CODENAME)
wanted=
for group in "$@"; do
  wanted="$wanted $(packages_of "$group")"
done

if [ "$(id_of ID)" != debian ]; then
  echo "make deps: this is not Debian; not installing anything. The Debian names of what is" >&2
  echo "needed:$wanted" >&2
  exit 0
fi

missing=
for package in $wanted; do
  is_installed "$package" || missing="$missing $package"
done

if [ -z "$missing" ]; then
  [ -n "$check_only" ] || echo "make deps: nothing to install"
elif [ -n "$check_only" ]; then
  echo "missing:$missing" >&2
  echo "'make deps' installs it" >&2
  exit 1
else
  install_missing
fi
