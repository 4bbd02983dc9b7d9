use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use axum::Router;
use axum::routing::get;

use super::{Limits, Serving, serve};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn listener(limits: Limits) -> (tokio::runtime::Runtime, Serving) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let serving = {
        let _inside = runtime.enter();
        serve(LOOPBACK, None, limits, Router::new().route("/", get(async || "here"))).expect("a listener")
    };
    (runtime, serving)
}

fn connect(serving: &Serving) -> TcpStream {
    let stream = TcpStream::connect(serving.address).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    stream
}

/// What the server says until it closes.
fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset counts as closed.
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn one_more_connection_than_seats_is_closed() {
    let (_runtime, serving) = listener(Limits { connections_max: 1, header_timeout: Duration::from_secs(60) });
    let mut first = connect(&serving);
    first.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let mut head = [0; 15];
    first.read_exact(&mut head).expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    assert_eq!(rest(&mut connect(&serving)), "", "no seat is free");
    drop(first);
    let again = (0..500).any(|_| {
        let mut next = connect(&serving);
        let sent = next.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        sent.is_ok() && rest(&mut next).starts_with("HTTP/1.1 200 OK")
    });
    assert!(again, "the seat comes free with its connection");
}

#[test]
fn half_a_request_is_not_waited_for() {
    let (_runtime, serving) = listener(Limits { connections_max: 8, header_timeout: Duration::from_millis(100) });
    let mut slow = connect(&serving);
    slow.write_all(b"GET / HTTP/1.1\r\nHos").expect("sent");
    let said = rest(&mut slow);
    assert!(!said.contains("200 OK"), "{said}");
}

#[test]
fn stopping_lets_go_of_the_address() {
    let (runtime, serving) = listener(Limits { connections_max: 8, header_timeout: Duration::from_secs(60) });
    let address = serving.address;
    runtime.block_on(serving.stop(Duration::from_millis(100)));
    assert!(TcpStream::connect(address).is_err());
}
