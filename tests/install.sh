# What the tests and the demonstration need from Debian; sourced by tests/run and deploy/run.

# Installs Debian packages that are missing: need PROGRAM=PACKAGE ...
need() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null 2>&1 || missing+=("${pair#*=}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "installing ${missing[*]} ..."
    local sudo=""
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || { echo "as root: apt-get install ${missing[*]}" >&2; return 1; }
        sudo=sudo
    fi
    # Debian starts a service on installation; the switch starts its own relay, so nothing may be started here.
    local policy=/usr/sbin/policy-rc.d made=""
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null && $sudo chmod +x "$policy" && made=1
    fi
    { $sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends "${missing[@]}"; } >/tmp/tandem-apt.log 2>&1
    local status=$?
    [ -z "$made" ] || $sudo rm -f "$policy"
    [ $status -eq 0 ] || { echo "could not install ${missing[*]}; see /tmp/tandem-apt.log" >&2; tail -5 /tmp/tandem-apt.log >&2; return 1; }
}

need_build() { need cc=gcc cmake=cmake protoc=protobuf-compiler; }
need_peers() { need_build && need sipp=sip-tester baresip=baresip-core linphonec=linphone-cli rtpengine=rtpengine-daemon tshark=tshark curl=curl jq=jq; }
need_kamailio() { need kamailio=kamailio python3=python3; }
need_chassis() { need_build && need sipp=sip-tester rtpengine=rtpengine-daemon ip=iproute2 iptables=iptables python3=python3; }
need_cassandra() { need mvn=maven java=openjdk-17-jre-headless && tests/cassandra/run install; }
