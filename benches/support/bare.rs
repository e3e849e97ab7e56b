//! Servers on actix that do no more than they must: what the hub's own is compared with.

use std::{convert::Infallible, env, net::SocketAddr, process::Command, time::Duration};

use actix_web::{
    App, HttpResponse, HttpServer,
    web::{self, Bytes, Data},
};
use tokio::sync::watch;

use super::{cores, process::HubProcess};

/// Set in the child process that is the server of streams.
const CHILD: &str = "BECKON_BENCH_BARE";
const HEARTBEAT: Duration = Duration::from_secs(15);
/// An event of the hub's.
const CHANGE: &str = concat!(
    "event: change\nid: AAAAAAAAAAHXq0a-1vcYZ9Q-uwE\ndata: ",
    r#"{"id":"01a22479-c741-7153-831b-af86d4d848b6","priority":"High","#,
    r#""payload":{"visualContent":{"title":"Lunch?","body":"At noon."}},"#,
    r#""createdDateTime":"2026-11-28T23:24:50.368Z","lastModifiedDateTime":"2026-11-28T23:24:50.368Z","#,
    r#""expirationDateTime":"2026-12-05T23:24:50.368Z","readState":"unread","#,
    r#""userActionState":"noInteraction","status":"active","version":1}"#,
    "\n\n"
);

/// Starts a server in this process that reads what it is sent and does nothing; says where. It ends with the bench.
pub(crate) fn serve_nothing() -> SocketAddr {
    let nothing = async |_read: Bytes| HttpResponse::Ok().finish();
    let app = move || App::new().default_service(web::to(nothing));
    let server = HttpServer::new(app)
        .workers(cores())
        .disable_signals()
        .tcp_nodelay(true)
        .bind("127.0.0.1:0")
        .unwrap();
    let addr = server.addrs()[0];
    tokio::spawn(server.run());
    addr
}

/// Whether this process is to be the server of streams.
pub(crate) fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

/// Starts the bench once more, which is to ask [`is_child`] first.
pub(crate) fn start_child() -> HubProcess {
    let mut command = Command::new(env::current_exe().unwrap());
    command.env(CHILD, "yes");
    HubProcess::spawn(command)
}

/// Tells all who opened a stream with `GET /` of every `POST /`; set up as the hub's own server. Until it is killed.
pub(crate) async fn serve_streams(most: usize) {
    let changes = Data::new(watch::Sender::new(0u64));
    let app = move || {
        let streams = web::resource("/")
            .route(web::get().to(stream))
            .route(web::post().to(change));
        App::new().app_data(changes.clone()).service(streams)
    };
    let server = HttpServer::new(app)
        .workers(cores())
        .max_connections(most)
        .keep_alive(Duration::from_secs(75))
        .h1_allow_half_closed(false)
        .h1_write_buffer_size(2048)
        .tcp_nodelay(true)
        .bind("127.0.0.1:0")
        .unwrap();
    println!("listening on http://{}", server.addrs()[0]);
    server.run().await.unwrap();
}

async fn change(changes: Data<watch::Sender<u64>>) -> HttpResponse {
    changes.send_modify(|count| *count += 1);
    HttpResponse::Created().finish()
}

async fn stream(changes: Data<watch::Sender<u64>>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .streaming(futures_util::stream::unfold(
            (changes.subscribe(), true),
            next,
        ))
}

/// What a stream hears by, and whether it has said nothing yet.
type Open = (watch::Receiver<u64>, bool);

async fn next((mut changes, first): Open) -> Option<(Result<Bytes, Infallible>, Open)> {
    const BEAT: &str = ": beckon\n\n";
    let piece = if first {
        BEAT
    } else {
        tokio::select! {
            () = tokio::time::sleep(HEARTBEAT) => BEAT,
            changed = changes.changed() => {
                changed.ok()?;
                CHANGE
            }
        }
    };
    Some((Ok(Bytes::from_static(piece.as_bytes())), (changes, false)))
}
