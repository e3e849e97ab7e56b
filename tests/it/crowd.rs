//! More connections than the hub is to keep open: those beyond are told so and closed, and the others go on.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use beckon::clock::Clock;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::timeout};

use crate::support::{
    ChildHub, TestHub, eventually,
    raw::{Kept, Then, exchange},
    wait::DEADLINE,
};

const MOST: usize = 3;

async fn seated(hub: &TestHub) -> Kept {
    let mut kept = Kept::connect(hub.running().addr).await;
    probe(&mut kept).await;
    kept
}

async fn probe(kept: &mut Kept) {
    kept.send("GET /v1/apps/nobody.example/webpush", "", "")
        .await;
    let answer = kept.answer().await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_over_the_limit_is_told_so_and_closed() {
    let hub = TestHub::with(Clock::system(), |config| {
        config.server.limits.connections = MOST;
    })
    .await;
    let addr = hub.running().addr;
    let mut within = vec![seated(&hub).await, seated(&hub).await, seated(&hub).await];
    let asked = b"GET /v1/apps/nobody.example/webpush HTTP/1.1\r\nhost: hub\r\n\r\n";
    let refused = exchange(addr, asked, Then::Wait).await;
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    for part in [
        "limitReached",
        "server.limits.connections allows 3",
        "request-id",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let without_case = refused.to_ascii_lowercase();
    assert!(!without_case.contains("retry-after"), "{refused}");
    let health = b"GET /healthz HTTP/1.1\r\nhost: hub\r\n\r\n";
    let alive = exchange(addr, health, Then::Wait).await;
    assert!(alive.starts_with("HTTP/1.1 200"), "a probe: {alive}");
    for kept in &mut within {
        probe(kept).await;
    }
    within.pop();
    eventually("a seat is free again", || async {
        let answer = exchange(
            addr,
            b"GET /v1/apps/nobody.example/webpush HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n",
            Then::Wait,
        )
        .await;
        answer.starts_with("HTTP/1.1 404").then_some(())
    })
    .await;
    hub.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_callers_than_there_are_files_leave_the_store_its_own() {
    let mut hub = ChildHub::start().await;
    hub.stop().await;
    hub.begin_short_of_files(160).await;
    let addr = hub.addr();
    let mut kept = Kept::connect(addr).await;
    is_answered(&hub, &mut kept, 9).await;
    let mut crowd = Vec::new();
    for _ in 0..400 {
        let Ok(Ok(idle)) = timeout(Duration::from_millis(50), TcpStream::connect(addr)).await
        else {
            break;
        };
        crowd.push(idle);
    }
    assert!(crowd.len() > 160, "{}", crowd.len());
    let body = r#"{"payload": {"rawContent": "x"}}"#;
    let headers = format!(
        "authorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        hub.key,
        body.len()
    );
    for nth in 0..3 {
        let path = format!("POST /v1/users/u{nth}/notifications");
        kept.send(&path, &headers, body).await;
        let answer = kept.answer().await;
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
    assert!(
        hub.log().contains("raise that (LimitNOFILE"),
        "{}",
        hub.log()
    );
    drop(crowd);
    eventually("others are answered again", || async {
        let answer = hub.client().get("/readyz").await;
        (answer.status == 200).then_some(())
    })
    .await;
    hub.stop().await;
    hub.verify();
}

/// How long an honest client may wait for one answer at most: a fraction of what the slow ones are given for their heads.
const NOT_DELAYED: Duration = Duration::from_secs(2);

/// One request and its answer, in time.
async fn is_answered(hub: &ChildHub, kept: &mut Kept, nth: usize) {
    let body = r#"{"payload": {"rawContent": "x"}}"#;
    let headers = format!(
        "authorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        hub.key,
        body.len()
    );
    kept.send(
        &format!("POST /v1/users/u{nth}/notifications"),
        &headers,
        body,
    )
    .await;
    let answer = timeout(NOT_DELAYED, kept.answer()).await;
    let answer = answer.unwrap_or_else(|_| panic!("request {nth} was not answered in time"));
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

/// Whether the other side may still answer; what it has answered is read.
fn is_open(tcp: &TcpStream) -> bool {
    loop {
        match tcp.try_read(&mut [0; 1024]) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_says_nothing_keeps_nobody_out() {
    let mut hub = ChildHub::with("[server.limits]\nconnections = 50").await;
    let addr = hub.addr();
    let mut kept = Kept::connect(addr).await;
    is_answered(&hub, &mut kept, 0).await;
    let mut crowd = Vec::new();
    // Those who have come and asked stay, too: each of them has the seat of a silent one.
    let mut newcomers = Vec::new();
    for nth in 1..=40 {
        for _ in 0..20 {
            crowd.push(TcpStream::connect(addr).await.unwrap());
        }
        let mut newcomer = Kept::connect(addr).await;
        is_answered(&hub, &mut newcomer, 1000 + nth).await;
        newcomers.push(newcomer);
        is_answered(&hub, &mut kept, nth).await;
    }
    for (nth, newcomer) in newcomers.iter_mut().enumerate() {
        is_answered(&hub, newcomer, 2000 + nth).await;
    }
    crowd.retain(is_open);
    assert!(crowd.len() <= 66 - 41, "{} are left open", crowd.len());
    hub.stop().await;
    hub.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stands_gives_no_seat_up_and_is_told() {
    let hub = ChildHub::with("[server.limits]\nconnections = 3").await;
    let addr = hub.addr();
    let mut seated = Vec::new();
    for nth in 0..3 {
        let mut kept = Kept::connect(addr).await;
        is_answered(&hub, &mut kept, nth).await;
        seated.push(kept);
    }
    // More of them than may stand.
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(addr).await.unwrap());
        let asked = b"GET /v1/me/notifications HTTP/1.1\r\nhost: hub\r\n\r\n";
        let refused = timeout(NOT_DELAYED, exchange(addr, asked, Then::Wait)).await;
        let refused = refused.expect("it is told in time");
        assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    }
    for (nth, kept) in seated.iter_mut().enumerate() {
        is_answered(&hub, kept, nth).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_that_never_finish_their_heads_delay_nobody_and_are_closed() {
    let mut hub = ChildHub::start().await;
    let addr = hub.addr();
    let mut kept = Kept::connect(addr).await;
    let mut slow = Vec::new();
    for _ in 0..1000 {
        let mut tcp = TcpStream::connect(addr).await.unwrap();
        tcp.write_all(b"GET /v1/me/notifications HTTP/1.1\r\nhost: hub\r\nx-a: ")
            .await
            .unwrap();
        slow.push(tcp);
    }
    let (began, mut nth) = (Instant::now(), 0);
    while !slow.is_empty() {
        assert!(began.elapsed() < DEADLINE, "{} are left open", slow.len());
        nth += 1;
        is_answered(&hub, &mut kept, nth).await;
        // Each goes on with one more byte now and then, as if it had all the time in the world.
        slow.retain(|tcp| {
            let _may_be_closed = tcp.try_write(b"a");
            is_open(tcp)
        });
    }
    assert!(nth > 100, "the honest client asked {nth} times");
    hub.stop().await;
    hub.verify();
}
