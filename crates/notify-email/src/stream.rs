//! The way to a server: names, addresses, TCP, and a guard against replies from before TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::fault::unreachable;
use crate::smtp::Fault;

/// The most that one of a server's addresses may take to answer, so that a dead one leaves time
/// for the next.
pub(crate) const ONE_ADDRESS: Duration = Duration::from_secs(10);

/// The most bytes that are heard between two commands; a handshake is in it.
const MAX_REPLY: usize = 64 * 1024;

/// The most lines of a reply. With every line that comes, lettre reads the reply from its beginning,
/// so that one of many thousand lines would keep a processor busy for seconds.
const MAX_LINES: usize = 256;

/// Opens a connection to the first of the server's addresses that answers.
pub(crate) async fn dial(host: &str, port: u16) -> Result<LineStream, Fault> {
    let addresses = lookup_host((host, port))
        .await
        .map_err(|err| unreachable(&err))?;
    let mut last = Fault::Lost("the server's name has no address".to_owned());
    for address in addresses {
        match timeout(ONE_ADDRESS, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // Commands are short and each waits for its answer: nothing is won by holding one back.
                tcp.set_nodelay(true)
                    .map_err(|err| Fault::Lost(err.to_string()))?;
                return Ok(LineStream::new(tcp));
            }
            Ok(Err(err)) => last = Fault::Lost(err.to_string()),
            Err(_) => last = Fault::Timeout,
        }
    }
    Err(last)
}

/// A connection that gives what it reads at most one line at a time.
///
/// RFC 3207 4.2: what was said in plain text does not count once TLS begins. lettre's reader takes
/// all that it is given and keeps it across the handshake, so a reply that somebody on the way put
/// behind the server's answer to STARTTLS would count as one said under TLS. Given line by line,
/// the reader holds nothing but that answer, and what follows it breaks the handshake.
#[derive(Debug)]
pub(crate) struct LineStream {
    tcp: TcpStream,
    held: Vec<u8>,
    given: usize,
    /// How many bytes were heard since something was said.
    heard: usize,
    /// How many lines were given since.
    lines: usize,
}

impl LineStream {
    const fn new(tcp: TcpStream) -> Self {
        Self {
            tcp,
            held: Vec::new(),
            given: 0,
            heard: 0,
            lines: 0,
        }
    }
}

impl AsyncTokioStream for LineStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.peer_addr()
    }
}

impl AsyncRead for LineStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.given == self.held.len() {
            let mut space = [0; 4_096];
            let mut read = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut read))?;
            self.held.clear();
            self.held.extend_from_slice(read.filled());
            self.given = 0;
            self.heard = self.heard.saturating_add(self.held.len());
            if self.heard > MAX_REPLY || self.lines > MAX_LINES {
                return Poll::Ready(Err(io::Error::other("the reply has no end")));
            }
        }
        let rest = self.held.get(self.given..).unwrap_or_default();
        let line = rest
            .split_inclusive(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let fits = line
            .get(..line.len().min(into.remaining()))
            .unwrap_or_default();
        into.put_slice(fits);
        let count = fits.len();
        self.given += count;
        self.lines += 1;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for LineStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        (self.heard, self.lines) = (0, 0);
        Pin::new(&mut self.tcp).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_follows_a_line_stays_out_of_the_readers_buffer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stream, accepted) = tokio::join!(dial("127.0.0.1", address.port()), listener.accept());
        let (mut stream, mut peer) = (stream.unwrap(), accepted.unwrap().0);
        peer.write_all(b"220 go\r\n250 forged\r\nrest")
            .await
            .unwrap();
        drop(peer);
        let mut read = Vec::new();
        let mut buffer = [0; 1_000];
        loop {
            match stream.read(&mut buffer).await.unwrap() {
                0 => break,
                count => read.push(String::from_utf8(buffer[..count].to_vec()).unwrap()),
            }
        }
        assert_eq!(read[..2], ["220 go\r\n", "250 forged\r\n"]);
        assert_eq!(read[2..].concat(), "rest");
    }
}
