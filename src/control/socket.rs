// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Unix socket of the control API: made, guarded, and given up again.
//!
//! Whoever may do nothing is told so and hung up on before a byte of theirs is read. The number of open connections
//! is bounded. A socket that a dead daemon left behind is replaced; one that a live daemon answers is not touched.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use weirgate_store::wire::ErrorReply;

use super::caller::{ADMIN_GROUP, Accounts, Caller, VIEWER_GROUP};

/// Connections that are served at a time; further ones wait.
pub const CONNECTIONS_MAX: usize = 128;

/// How much of a stranger's request is read before it is refused.
const REFUSED_HEAD_BYTES_MAX: usize = 16 << 10;

/// How long somebody without a role may take to read why.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);

/// Pause after an accept that failed, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("another daemon answers at {}: stop it first, or give this one another --socket", .0.display())]
    Live(PathBuf),
    #[error("{} exists and is not a socket: move it away, or give another --socket", .0.display())]
    NotASocket(PathBuf),
    #[error("cannot listen at {}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// The control socket, bound. The file goes when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    permits: Arc<Semaphore>,
}

impl ControlSocket {
    /// Binds the socket at `path`. Must be called on the control runtime.
    ///
    /// # Errors
    /// When a live daemon holds it, when something else is there, or when the system refuses.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let io = |source| SocketError::Io { path: path.to_owned(), source };
        clear(path)?;
        let listener = UnixListener::bind(path).map_err(io)?;
        guard(path, &Accounts::read()).map_err(io)?;
        Ok(Self { listener, path: path.to_owned(), permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)) })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Gone already, or never ours to remove: either way there is nothing to do.
        let _gone = fs::remove_file(&self.path).is_ok();
    }
}

/// Makes way: removes a socket that nobody answers.
fn clear(path: &Path) -> Result<(), SocketError> {
    let io = |source| SocketError::Io { path: path.to_owned(), source };
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    if !file.file_type().is_socket() {
        return Err(SocketError::NotASocket(path.to_owned()));
    }
    match StdUnixStream::connect(path) {
        Ok(_) => Err(SocketError::Live(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(io),
        Err(error) => Err(io(error)),
    }
}

/// Sets who can reach the socket. With the groups of the package installed everybody can connect and the role decides,
/// because a file has one group and viewers are another than admins. Without them only the daemon's own user and group.
fn guard(path: &Path, accounts: &Accounts) -> io::Result<()> {
    let (admin, viewer) = (accounts.group_id(ADMIN_GROUP), accounts.group_id(VIEWER_GROUP));
    let mode = if admin.is_some() && viewer.is_some() { 0o666 } else { 0o660 };
    if let Some(group) = admin {
        // Only a member of the group may give a file to it; failing leaves it with our own.
        let _given = rustix::fs::chown(path, None, Some(rustix::fs::Gid::from_raw(group))).is_ok();
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

impl Listener for ControlSocket {
    type Io = Guarded;
    type Addr = Caller;

    async fn accept(&mut self) -> (Guarded, Caller) {
        loop {
            let permit = Arc::clone(&self.permits).acquire_owned().await;
            let Ok(permit) = permit else {
                // The semaphore is never closed; if it were, nobody more could be served.
                std::future::pending::<()>().await;
                continue;
            };
            let Some((stream, caller)) = self.next().await else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            if caller.role.is_some() {
                return (Guarded { stream, _permit: permit }, caller);
            }
            tokio::spawn(async move {
                // A stranger who does not read the answer has no claim to it.
                let _read = timeout(REFUSAL_LIMIT, turn_away(stream, caller)).await.is_ok();
                drop(permit);
            });
        }
    }

    fn local_addr(&self) -> io::Result<Caller> {
        Ok(Caller::of(rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()))
    }
}

impl ControlSocket {
    async fn next(&self) -> Option<(UnixStream, Caller)> {
        let (stream, _) = self.listener.accept().await.ok()?;
        let credentials = stream.peer_cred().ok()?;
        let caller = Caller::of(credentials.uid(), credentials.gid());
        Some((stream, caller))
    }
}

/// Hears the request out and refuses it. An answer that comes before the question confuses clients: they take the
/// connection for broken and show that instead of the reason.
async fn turn_away(mut stream: UnixStream, caller: Caller) -> io::Result<()> {
    tracing::warn!(uid = caller.uid, login = caller.login, "refused a control connection: no role");
    let detail = format!(
        "{} may neither read nor change this gateway; members of group {VIEWER_GROUP} may read and members of group \
         {ADMIN_GROUP} may change: `usermod -aG {ADMIN_GROUP} {}` as root",
        caller.login, caller.login
    );
    let reply = ErrorReply { status: 403, title: "Not allowed".to_owned(), detail, problems: Vec::new() };
    let body = serde_json::to_string(&reply).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    hear_out(&mut stream).await?;
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await?;
    // Closing with unread bytes would reset the connection and could take the answer with it.
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop)
}

/// Reads to the end of a request head, or until there is more than any of ours has.
async fn hear_out(stream: &mut UnixStream) -> io::Result<()> {
    let mut heard = Vec::new();
    while heard.len() < REFUSED_HEAD_BYTES_MAX && !heard.windows(4).any(|four| four == b"\r\n\r\n") {
        if stream.read_buf(&mut heard).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// One accepted connection, counted until it closes.
#[derive(Debug)]
pub struct Guarded {
    stream: UnixStream,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(task, buf)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(task, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}

impl Connected<IncomingStream<'_, ControlSocket>> for Caller {
    fn connect_info(stream: IncomingStream<'_, ControlSocket>) -> Self {
        stream.remote_addr().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::{ControlSocket, SocketError};
    use crate::control::caller::Caller;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket to leave behind"));
        assert!(path.exists(), "the dead daemon left it");
        let socket = ControlSocket::bind(&path).expect("replaces it");
        match ControlSocket::bind(&path) {
            Err(SocketError::Live(at)) => assert_eq!(at, path),
            other => panic!("a live socket was not respected: {other:?}"),
        }
        drop(socket);
        assert!(!path.exists(), "cleaned up");
        std::fs::write(&path, "text").expect("a file");
        assert!(matches!(ControlSocket::bind(&path), Err(SocketError::NotASocket(_))));
    }

    #[tokio::test]
    async fn a_stranger_is_told_why_and_hung_up_on() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let stranger = Caller { uid: 4_242, login: "eve".to_owned(), role: None };
        let turned = tokio::spawn(super::turn_away(ours, stranger));
        let mut head = vec![0; 24];
        theirs.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("a request");
        theirs.read_exact(&mut head).await.expect("an answer");
        assert_eq!(&head, b"HTTP/1.1 403 Forbidden\r\n");
        let mut rest = String::new();
        theirs.read_to_string(&mut rest).await.expect("the rest");
        assert!(rest.contains("usermod -aG weirgate-admin eve"), "{rest}");
        drop(theirs);
        turned.await.expect("no panic").expect("said it all");
    }
}
