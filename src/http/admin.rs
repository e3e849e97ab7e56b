//! The operators' door: `POST /admin` over a Unix socket in the data folder, never over TCP.
//!
//! Who may knock is the system's affair first (the folder is 0700, the socket 0600) and asked once more of each
//! visitor: the same user, or root. One request a connection, few at a time, each of a bounded size.

use std::{
    convert::Infallible,
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, StatusCode,
    body::{Bytes, Frame, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    hub::{
        Hub,
        admin::{AdminError, BACKUP_PATH, POINTER_FILE, Request, SOCKET_FILE},
    },
    store::backup::Backup,
};

/// The longest path that every system takes for a socket.
const MAX_PATH_BYTES: usize = 100;
/// The longest request, but for what may name as many people as `server.limits.audience_body` allows.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// How many requests run at the same time.
const MAX_VISITORS: usize = 16;
/// How long a visitor may take to say what they want.
const PATIENCE: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

type Response = hyper::Response<UnsyncBoxBody<Bytes, Infallible>>;
/// A request that is refused: status and reason.
type Refusal = (StatusCode, AdminError);

/// The open socket. Its files go when [`serve`] ends.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    files: Vec<PathBuf>,
}

/// Opens the socket of a data folder whose store this process holds, so that whatever lies there is stale.
///
/// # Errors
/// Where the folder cannot be made private, or no socket can be made; says which and why.
pub fn bind(folder: &Path) -> io::Result<Socket> {
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let own = PathBuf::from(format!("/tmp/beckon-{}", own_uid()));
    let runtime: Vec<PathBuf> = named.into_iter().chain([own]).collect();
    bind_in(folder, &runtime)
}

fn bind_in(folder: &Path, runtime: &[PathBuf]) -> io::Result<Socket> {
    let folder = fs::canonicalize(folder).map_err(at(folder))?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(at(&folder))?;
    let pointer = folder.join(POINTER_FILE);
    remove(&pointer)?;
    let inside = folder.join(SOCKET_FILE);
    if fits(&inside) {
        let listener = listen(&inside)?;
        let files = vec![inside];
        return Ok(Socket { listener, files });
    }
    let elsewhere = outside(&folder, runtime)?;
    let listener = listen(&elsewhere)?;
    write_pointer(&pointer, &elsewhere).map_err(at(&pointer))?;
    let files = vec![pointer, elsewhere];
    Ok(Socket { listener, files })
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    remove(path)?;
    let listener = UnixListener::bind(path).map_err(at(path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(at(path))?;
    Ok(listener)
}

fn write_pointer(pointer: &Path, socket: &Path) -> io::Result<()> {
    use std::{io::Write as _, os::unix::ffi::OsStrExt as _};
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(pointer)?;
    file.write_all(socket.as_os_str().as_bytes())
}

/// A path in the first of the `runtime` folders that is ours alone, named for the data folder.
fn outside(folder: &Path, runtime: &[PathBuf]) -> io::Result<PathBuf> {
    let name = digest(&SHA256, folder.as_os_str().as_encoded_bytes());
    let name: String = name.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    for candidate in runtime {
        let path = candidate.join(format!("beckon-{name}.sock"));
        if candidate.is_absolute() && fits(&path) && make_private(candidate) {
            return Ok(path);
        }
    }
    let message = format!(
        "the path of {} is too long for a socket, and no folder for it is ours alone; set XDG_RUNTIME_DIR to one of mode 0700",
        folder.display()
    );
    Err(io::Error::other(message))
}

/// Whether the folder is, or now was made, a real one that nobody else can enter.
fn make_private(folder: &Path) -> bool {
    // Whatever comes of this is looked at right after.
    let _ = fs::DirBuilder::new().mode(0o700).create(folder);
    fs::symlink_metadata(folder)
        .is_ok_and(|it| it.is_dir() && it.uid() == own_uid() && it.mode() & 0o077 == 0)
}

fn fits(path: &Path) -> bool {
    path.as_os_str().len() <= MAX_PATH_BYTES
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| {
        io::Error::new(
            error.kind(),
            format!("the admin socket: {}: {error}", path.display()),
        )
    }
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Answers operators until `stop`, then those still inside, and takes the socket away.
pub async fn serve(hub: Hub, socket: Socket, stop: CancellationToken) {
    let visitors = TaskTracker::new();
    let room = Arc::new(Semaphore::new(MAX_VISITORS));
    let next = async || {
        let permit = Arc::clone(&room).acquire_owned().await;
        let (stream, _) = socket.listener.accept().await?;
        Ok::<_, io::Error>((stream, permit.map_err(io::Error::other)?))
    };
    while let Some(arrived) = stop.run_until_cancelled(next()).await {
        match arrived {
            Ok((stream, permit)) => {
                visitors.spawn(visit(hub.clone(), stream, stop.clone(), permit));
            }
            Err(error) => {
                tracing::warn!(%error, "the admin socket takes no visitor");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    visitors.close();
    visitors.wait().await;
    for file in &socket.files {
        if let Err(error) = remove(file) {
            tracing::warn!(%error, "the admin socket stays behind; the next start removes it");
        }
    }
}

async fn visit(hub: Hub, stream: UnixStream, stop: CancellationToken, _room: OwnedSemaphorePermit) {
    let peer = stream.peer_cred().map(|peer| peer.uid());
    if !peer.is_ok_and(|uid| may_enter(uid, own_uid())) {
        tracing::warn!("another user knocked at the admin socket and was sent away");
        return;
    }
    let service =
        service_fn(|request| async { Ok::<_, Infallible>(answer(&hub, request, &stop).await) });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a visitor of the admin socket left early");
    }
}

/// Whether a peer of this uid is the hub's own user, or root.
fn may_enter(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

async fn answer(
    hub: &Hub,
    request: hyper::Request<Incoming>,
    stop: &CancellationToken,
) -> Response {
    if request.uri().path() == BACKUP_PATH && request.method() == Method::POST {
        return match hub.backup().await {
            Ok(backup) => stream(backup, stop.clone()),
            Err(error) => refuse(StatusCode::BAD_REQUEST, &error),
        };
    }
    let longest = hub.limits().audience_body.max(MAX_BODY_BYTES);
    let answered = match read(request, longest).await {
        Ok(request) => hub
            .admin(request)
            .await
            .map_err(|error| (StatusCode::BAD_REQUEST, error)),
        Err(refusal) => Err(refusal),
    };
    match answered {
        Ok(value) => respond(StatusCode::OK, &value),
        Err((status, error)) => refuse(status, &error),
    }
}

/// A backup as it is taken. A hub that stops ends it, and its reader sees that its end is missing.
fn stream(backup: Backup, stop: CancellationToken) -> Response {
    let pieces = futures_util::stream::unfold(backup, |mut backup| async {
        let piece = backup.next().await?;
        Some((Ok(Frame::data(Bytes::from(piece))), backup))
    });
    let pieces = pieces.take_until(stop.cancelled_owned());
    let mut response = Response::new(StreamBody::new(pieces).boxed_unsync());
    let bytes = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, bytes);
    response
}

fn refuse(status: StatusCode, error: &AdminError) -> Response {
    respond(status, &json!({ "error": error }))
}

async fn read(request: hyper::Request<Incoming>, longest: usize) -> Result<Request, Refusal> {
    if request.uri().path() != "/admin" {
        let error = AdminError::new("itemNotFound", "this socket answers POST /admin");
        return Err((StatusCode::NOT_FOUND, error));
    }
    if request.method() != Method::POST {
        let error = AdminError::new("methodNotAllowed", "this socket answers POST /admin");
        return Err((StatusCode::METHOD_NOT_ALLOWED, error));
    }
    let body = within(request.into_body(), longest);
    let body = match tokio::time::timeout(PATIENCE, body).await {
        Ok(Ok(Some(body))) => body,
        Ok(Ok(None)) => {
            let message = format!(
                "the request is larger than {longest} bytes (server.limits.audience_body); name fewer people at a time"
            );
            let error = AdminError::new("payloadTooLarge", message);
            return Err((StatusCode::PAYLOAD_TOO_LARGE, error));
        }
        _ => {
            let error = AdminError::new("invalidRequest", "the request was cut off");
            return Err((StatusCode::BAD_REQUEST, error));
        }
    };
    serde_json::from_slice(&body).map_err(|error| {
        let message = format!(
            "the request is not understood ({error}); is the command of the hub's own version?"
        );
        (
            StatusCode::BAD_REQUEST,
            AdminError::new("invalidRequest", message),
        )
    })
}

/// A body of at most `longest` bytes; none, of a longer one. That is read to its end all the same: who still writes does
/// not hear an answer.
async fn within(mut body: Incoming, longest: usize) -> Result<Option<Vec<u8>>, hyper::Error> {
    let (mut held, mut fits) = (Vec::new(), true);
    while let Some(frame) = body.frame().await {
        let frame = frame?;
        let data = frame.data_ref().map_or(&[][..], |data| data);
        fits = fits && held.len() + data.len() <= longest;
        if fits {
            held.extend_from_slice(data);
        } else {
            held = Vec::new();
        }
    }
    Ok(fits.then_some(held))
}

fn respond(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Full::from(value.to_string()).boxed_unsync());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    #[tokio::test]
    async fn the_socket_lies_in_the_folder_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.path().join(SOCKET_FILE), "stale").unwrap();
        fs::write(folder.path().join(POINTER_FILE), "stale").unwrap();
        let socket = bind_in(folder.path(), &[]).unwrap();
        assert_eq!(mode(folder.path()), 0o700);
        assert_eq!(mode(&folder.path().join(SOCKET_FILE)), 0o600);
        assert!(!folder.path().join(POINTER_FILE).exists());
        drop(socket);
        bind_in(folder.path(), &[]).unwrap();
    }

    #[tokio::test]
    async fn a_path_too_long_for_a_socket_points_elsewhere() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("x".repeat(101));
        fs::create_dir(&folder).unwrap();
        let open_to_all = root.path().join("open");
        fs::create_dir(&open_to_all).unwrap();
        fs::set_permissions(&open_to_all, fs::Permissions::from_mode(0o755)).unwrap();
        let private = root.path().join("run");

        assert!(bind_in(&folder, std::slice::from_ref(&open_to_all)).is_err());
        let runtime = [PathBuf::from("relative"), open_to_all, private.clone()];
        let socket = bind_in(&folder, &runtime).unwrap();
        let pointed = fs::read_to_string(folder.join(POINTER_FILE)).unwrap();
        assert!(Path::new(&pointed).starts_with(&private), "{pointed}");
        assert_eq!(mode(&private), 0o700);
        assert_eq!(mode(Path::new(&pointed)), 0o600);
        drop(socket);
    }

    #[test]
    fn only_the_own_user_and_root_may_enter() {
        assert!(may_enter(1000, 1000) && may_enter(0, 1000) && may_enter(0, 0));
        assert!(!may_enter(1001, 1000) && !may_enter(1000, 0));
    }
}
