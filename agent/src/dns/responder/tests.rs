use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::{Responder, serve_later};
use crate::dns::Names;

/// A question for the address of one.internal.
const QUESTION: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\
    \x03one\x08internal\x00\x00\x01\x00\x01";

fn run(body: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, body);
}

async fn by_udp(place: std::net::SocketAddr) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(QUESTION, place).await.unwrap();
    let mut answer = vec![0; 512];
    let length = socket.recv(&mut answer).await.unwrap();
    answer.truncate(length);
    answer
}

async fn by_tcp(stream: &mut TcpStream) -> Vec<u8> {
    let length = (QUESTION.len() as u16).to_be_bytes();
    // As it may come: the length first, then some, then the rest.
    for piece in [&length[..1], &length[1..], &QUESTION[..5], &QUESTION[5..]] {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut answer).await.unwrap();
    answer
}

#[test]
fn names_are_told_by_udp_and_tcp_as_they_are_now() {
    run(async {
        let (sender, names) = watch::channel(Names::default());
        let responder = Responder::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let place = responder.place().unwrap();
        tokio::task::spawn_local(responder.serve(names));
        // NXDOMAIN.
        assert_eq!(by_udp(place).await[3] & 15, 3);
        sender.send_modify(|names| names.add("one", [IpAddr::from([192, 0, 2, 7])]));
        let answer = by_udp(place).await;
        assert_eq!(answer[3] & 15, 0);
        assert!(answer.ends_with(&[0, 4, 192, 0, 2, 7]), "{answer:?}");
        // Several of one connection, and others who say nothing beside it.
        let mut silent = Vec::new();
        for _ in 0..10 {
            silent.push(TcpStream::connect(place).await.unwrap());
        }
        let mut stream = TcpStream::connect(place).await.unwrap();
        for _ in 0..3 {
            assert_eq!(by_tcp(&mut stream).await, answer);
        }
    });
}

#[test]
fn a_place_that_is_taken_is_served_when_it_is_free() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let first = Responder::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let place = first.place().unwrap();
        let taken = Responder::bind(place).await.unwrap_err();
        assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
        let (_sender, names) = watch::channel(Names::default());
        tokio::task::spawn_local(serve_later(place, names));
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(first);
        tokio::time::sleep(Duration::from_secs(60)).await;
        tokio::time::resume();
        assert_eq!(by_udp(place).await[3] & 15, 3);
    });
}
