//! Captures read back: by a reader that knows the form and not the writer, and by tshark where that
//! is installed.

use super::*;
use crate::DropCause;
use crate::record::fixture::{Transfer, packet};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use tripline_sansio::Ecn;

/// One packet as it was read.
struct Seen {
    interface: String,
    nanos: u64,
    flags: u32,
    bytes: Vec<u8>,
    comments: Vec<String>,
}

#[derive(Default)]
struct Read {
    section: BTreeMap<u16, String>,
    interfaces: Vec<String>,
    names: BTreeMap<Vec<u8>, String>,
    packets: Vec<Seen>,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Options, or the records of a name block, up to their end.
fn options(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut all = Vec::new();
    loop {
        let code = u16::from_le_bytes([bytes[0], bytes[1]]);
        let len = usize::from(u16::from_le_bytes([bytes[2], bytes[3]]));
        if code == 0 {
            assert_eq!((len, bytes.len()), (0, 4), "something behind the end of options");
            return all;
        }
        all.push((code, bytes[4..4 + len].to_vec()));
        let filled = len.div_ceil(4) * 4;
        assert!(bytes[4 + len..4 + filled].iter().all(|pad| *pad == 0));
        bytes = &bytes[4 + filled..];
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn read(mut file: &[u8]) -> Read {
    let mut read = Read::default();
    let mut is_first = true;
    while !file.is_empty() {
        let (kind, len) = (u32_at(file, 0), u32_at(file, 4) as usize);
        assert_eq!(len % 4, 0);
        assert_eq!(u32_at(file, len - 4) as usize, len);
        assert_eq!(kind == 0x0a0d_0d0a, is_first);
        is_first = false;
        let body = &file[8..len - 4];
        match kind {
            0x0a0d_0d0a => {
                assert_eq!(body[..8], [0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0]);
                assert_eq!(body[8..16], [0xff; 8]);
                read.section =
                    options(&body[16..]).into_iter().map(|(code, it)| (code, text(&it))).collect();
            }
            1 => {
                assert_eq!(body[..8], [101, 0, 0, 0, 0, 0, 0, 0]);
                let options: BTreeMap<_, _> = options(&body[8..]).into_iter().collect();
                assert_eq!(options[&9], [9]);
                read.interfaces.push(text(&options[&2]));
            }
            4 => {
                for (kind, record) in options(body) {
                    let (address, name) = record.split_at(if kind == 1 { 4 } else { 16 });
                    let name = name.strip_suffix(&[0]).unwrap();
                    read.names.insert(address.to_vec(), text(name));
                }
            }
            6 => {
                let interface = read.interfaces[u32_at(body, 0) as usize].clone();
                let nanos = u64::from(u32_at(body, 4)) << 32 | u64::from(u32_at(body, 8));
                let len = u32_at(body, 12) as usize;
                assert_eq!(u32_at(body, 16) as usize, len);
                let bytes = body[20..20 + len].to_vec();
                let options = options(&body[20 + len.div_ceil(4) * 4..]);
                let flags = options.iter().find(|(code, _)| *code == 2).unwrap();
                let flags = u32_at(&flags.1, 0);
                let comments = options.iter().filter(|(code, _)| *code == 1);
                let comments = comments.map(|(_, it)| text(it)).collect();
                read.packets.push(Seen { interface, nanos, flags, bytes, comments });
            }
            other => panic!("block {other:#x}"),
        }
        file = &file[len..];
    }
    read
}

fn scenario() -> Scenario {
    Transfer::new(1).scenario
}

#[test]
fn a_packet_is_seen_where_it_leaves_and_where_it_comes() {
    let mut capture = Capture::new(Vec::new(), &scenario());
    capture.on_start(&["phone".into(), "server".into()]);
    capture.on_step(Instant::ZERO, &"0s phone network-changed".parse().unwrap(), false);
    let sent = packet(Stage::Offered, 7_000_000_001, 3, b"\x06tripline");
    capture.on_packet(&sent);
    let late = Instant::from_nanos(20_000_000_000);
    capture.on_packet(&PacketView { stage: Stage::Delivered, now: late, ecn: Ecn::Ce, ..sent });
    capture.on_packet(&PacketView { stage: Stage::Delivered, from: None, to: None, ..sent });
    capture.on_packet(&PacketView { stage: Stage::Dropped(DropCause::Lost), ..sent });
    let read = read(&capture.finish().unwrap());

    assert_eq!(read.section[&4], "tripline sim");
    assert_eq!(read.section[&1].parse::<Scenario>().unwrap(), scenario());
    assert_eq!(read.interfaces, ["network", "phone", "server"]);
    let names: Vec<_> = read.names.into_iter().collect();
    assert_eq!(names, [(vec![10, 0, 0, 1], "server".into()), (vec![10, 0, 0, 2], "phone".into())]);

    let [out, came, stray, lost] = &read.packets[..] else { panic!("four packets") };
    assert_eq!((out.interface.as_str(), out.nanos, out.flags), ("phone", 7_000_000_001, 2));
    assert_eq!(
        out.comments,
        ["at 0.000000000 s: step: phone network-changed, passed over", "phone to server #3: RESET"]
    );
    assert_eq!(out.bytes[28..], *b"\x06tripline");
    assert_eq!(out.bytes[12..24], [10, 0, 0, 2, 10, 0, 0, 1, 0, 2, 0, 1]);
    assert_eq!((came.interface.as_str(), came.nanos, came.flags), ("server", 20_000_000_000, 1));
    assert_eq!(came.comments, ["phone to server #3: RESET; came after 13 s"]);
    assert_eq!((out.bytes[1], came.bytes[1]), (0, 3));
    assert_eq!(stray.interface, "network");
    assert_eq!(stray.comments, ["somebody to nobody #3: RESET; sent by nobody"]);
    assert_eq!(lost.interface, "network");
    assert_eq!(lost.comments, ["phone to server #3: RESET; dropped: lost"]);
}

#[test]
fn notes_that_wait_for_a_packet_are_bounded() {
    let mut capture = Capture::new(Vec::new(), &scenario());
    capture.on_start(&["phone".into(), "server".into()]);
    for second in 0..NOTES as u64 + 5 {
        capture.on_event(Instant::from_nanos(second), None, &Event::ShutDown);
    }
    capture.on_packet(&packet(Stage::Offered, 99, 0, b"\x06"));
    let read = read(&capture.finish().unwrap());
    let comments = &read.packets[0].comments;
    assert_eq!(comments.len(), NOTES + 2);
    assert_eq!(comments[NOTES], "5 more things happened");
}

fn captured(seed: u64) -> Vec<u8> {
    let transfer = Transfer::new(seed);
    let mut capture = Capture::new(Vec::new(), &transfer.scenario);
    transfer.run(&mut capture);
    capture.finish().unwrap()
}

#[test]
fn the_same_run_gives_the_same_capture_of_every_datagram() {
    let file = captured(5);
    assert_eq!(file, captured(5));
    let mut capture = Capture::new(Vec::new(), &scenario());
    let (_, outcome) = Transfer::new(5).run(&mut capture);
    let read = read(&file);
    let on = |flags: u32| {
        let on = read.packets.iter().filter(|seen| seen.flags == flags);
        on.filter(|seen| seen.interface != "network").count() as u64
    };
    let dropped = read.packets.iter().filter(|seen| seen.interface == "network").count() as u64;
    assert_eq!(dropped, outcome.totals.dropped());
    assert!(dropped > 0);
    assert_eq!((on(2), on(1)), (outcome.totals.offered, outcome.totals.delivered));
}

#[test]
fn a_full_disk_is_told_at_the_end() {
    let mut capture = Capture::new(&mut [][..], &scenario());
    capture.on_start(&[]);
    assert_eq!(capture.finish().unwrap_err().kind(), io::ErrorKind::WriteZero);
}

/// Wireshark's own reader finds every packet, its name and its comment, and no wrong checksum.
#[test]
fn tshark_reads_a_capture() {
    let mut command = Command::new("tshark");
    command.args(["-r", "-", "-T", "fields", "-o", "udp.check_checksum:TRUE"]);
    command.args(["-o", "ip.check_checksum:TRUE", "-N", "n"]);
    for field in ["frame.interface_name", "udp.checksum.status", "ip.checksum.status"] {
        command.args(["-e", field]);
    }
    for field in ["ip.src_host", "udp.length", "frame.comment"] {
        command.args(["-e", field]);
    }
    let spawned =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = spawned else {
        eprintln!("skipped: tshark is not installed");
        return;
    };
    let file = captured(5);
    let expected = read(&file).packets.len();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&file));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count(), expected);
    for line in lines.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        assert!(["phone", "server", "network"].contains(&fields[0]), "{line}");
        assert_eq!(fields[1..3], ["1", "1"], "{line}");
        assert!(["phone", "server"].contains(&fields[3]), "{line}");
        assert!(fields[5].contains(" to "), "{line}");
    }
}
