# A real call between two baresip phones; sourced by deploy/run. Each plays a tone of its own and records what it hears.

# A WAV file of eight seconds: tone HERTZ FILE
tone() {
    perl -e '
        my ($hertz, $file) = @ARGV;
        my $samples = join "", map { pack "s<", 8000 * sin(2 * 3.14159265 * $hertz * $_ / 8000) } 0 .. 63999;
        open my $out, ">:raw", $file or die "$file: $!\n";
        print $out "RIFF", pack("V", 36 + length $samples), "WAVEfmt ", pack("VvvVVvv", 16, 1, 1, 8000, 16000, 2, 16),
            "data", pack("V", length $samples), $samples;
    ' "$1" "$2"
}

# The pitch of the loudest second of a recording, in hertz; 0 when it is silent: pitch FILE
pitch() {
    perl -e '
        open my $in, "<:raw", $ARGV[0] or do { print 0; exit };
        local $/; my @samples = unpack "s<*", substr(<$in>, 44);
        my ($best, $hertz) = (0, 0);
        for (my $from = 0; $from + 8000 <= @samples; $from += 4000) {
            my ($power, $crossings) = (0, 0);
            for my $at ($from + 1 .. $from + 7999) {
                $power += $samples[$at] ** 2;
                $crossings++ if ($samples[$at - 1] < 0) != ($samples[$at] < 0);
            }
            ($best, $hertz) = ($power, $crossings / 2) if $power > $best;
        }
        print $best / 8000 > 1e6 ? int($hertz + 0.5) : 0;
    ' "$1"
}

# phone NAME TONE PHONE-ADDRESS SWITCH FOLDER ACCOUNT-OPTIONS
phone() {
    local folder=$5/$1
    rm -rf "$folder"; mkdir -p "$folder"
    tone "$2" "$folder/tone.wav" || return 1
    printf '<sip:%s@demo.tandem>;auth_pass=%s-pw;outbound="sip:%s:5060";regint=600%s\n' "$1" "$1" "$4" "$6" >"$folder/accounts"
    cat >"$folder/config" <<EOF
poll_method epoll
sip_listen $3:5060
net_interface $3
call_local_timeout 30
audio_source aufile,$folder/tone.wav
audio_player aubridge,$1
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_ports 10000-11000
module_path $(dirname "$(find /usr/lib -name g711.so -path '*baresip*' | head -1)")
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module uuid.so
module_tmp account.so
module_app menu.so
snd_path $folder
EOF
}

# Waits up to ten seconds until a file contains a text: await FILE TEXT
await() {
    local _
    for _ in $(seq 100); do
        grep -q -- "$2" "$1" 2>/dev/null && return 0
        sleep 0.1
    done
    echo "not seen in $1: $2" >&2; tail -5 "$1" >&2
    return 1
}

# demo_call TANDEM-BINARY SWITCH-ADDRESS FOLDER
demo_call() {
    local tandem=$1 address=$2 folder=$3/call hear_alice hear_bob to_alice to_bob
    mkdir -p "$folder"
    phone alice 440 127.20.0.1 "$address" "$folder" "" || return 1
    phone bob 880 127.20.0.2 "$address" "$folder" ";answermode=auto" || return 1
    tshark -i lo -q -f "udp portrange 10000-40000" -w "$folder/rtp.pcap" >"$folder/tshark.log" 2>&1 &
    local capture=$!
    children+=("$capture")
    await "$folder/tshark.log" "Capturing on" || return 1
    baresip -f "$folder/bob" </dev/null >"$folder/bob/log" 2>&1 &
    children+=($!)
    await "$folder/bob/log" "200 OK" || return 1
    echo "bob is registered; alice calls him for eight seconds ..."
    baresip -f "$folder/alice" -e "/dial sip:bob@demo.tandem" -t 8 </dev/null >"$folder/alice/log" 2>&1
    sleep 0.5 # tshark writes what it has; it offers no flush
    kill -INT "$capture"; wait "$capture" 2>/dev/null
    "$tandem" ctl trace --last
    # A phone's audio port stands in the description it sent; its address may be any of this machine's.
    local ports
    ports=$("$tandem" ctl --json trace --last | perl -MJSON::PP -0777 -ne '
        for (@{decode_json($_)->{messages}}) {
            print "$2\n" if $_->{inbound} && $_->{text} =~ /^(INVITE|SIP\/2\.0 200).*?m=audio (\d+)/s;
        }' | uniq)
    packets() { tshark -r "$folder/rtp.pcap" -d udp.port==10000-40000,rtp -Y "rtp && udp.srcport >= 30000 && udp.dstport == ${1:-0}" 2>/dev/null | wc -l; }
    to_alice=$(packets "$(sed -n 1p <<<"$ports")") to_bob=$(packets "$(sed -n 2p <<<"$ports")")
    hear_alice=$(pitch "$(ls "$folder"/alice/dump-*-dec.wav 2>/dev/null | head -1)")
    hear_bob=$(pitch "$(ls "$folder"/bob/dump-*-dec.wav 2>/dev/null | head -1)")
    printf '\nRTP packets through rtpengine:  to alice %s, to bob %s\n' "$to_alice" "$to_bob"
    printf 'alice heard %s Hz (bob plays 880), bob heard %s Hz (alice plays 440)\n' "$hear_alice" "$hear_bob"
    near() { [ "$1" -ge $(($2 - 20)) ] && [ "$1" -le $(($2 + 20)) ]; }
    if [ "$to_alice" -gt 100 ] && [ "$to_bob" -gt 100 ] && near "$hear_alice" 880 && near "$hear_bob" 440; then
        echo "both heard the other"
        return 0
    fi
    echo "they did not hear each other; see $folder" >&2
    return 1
}
