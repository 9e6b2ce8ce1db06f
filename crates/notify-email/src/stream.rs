//! The way to a server: names, addresses, TCP, TLS, and replies of a bounded length.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lettre::transport::smtp::response::Response;
use notify_core::outcome::clean;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::fault::{handshake, unreachable};
use crate::smtp::{Fault, Reply};
use crate::tls::Tls;

/// The most bytes of one reply.
const MAX_REPLY: usize = 64 * 1024;

/// The most lines of one reply.
const MAX_LINES: usize = 256;

/// Opens a connection to the first of the server's addresses that answers, none of which gets more
/// than this time, so that a dead one leaves some for the next.
pub(crate) async fn dial(host: &str, port: u16, each: Duration) -> Result<Line, Fault> {
    let addresses = timeout(each, lookup_host((host, port)))
        .await
        .map_err(|_| Fault::Timeout)?
        .map_err(|err| unreachable(&err))?;
    let mut last = Fault::Lost("the server's name has no address".to_owned());
    for address in addresses {
        match timeout(each, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // Commands are short and each waits for its answer: nothing is won by holding one
                // back.
                tcp.set_nodelay(true)
                    .map_err(|err| Fault::Lost(err.to_string()))?;
                return Ok(Line::new(Wire::Plain(tcp)));
            }
            Ok(Err(err)) => last = Fault::Lost(err.to_string()),
            Err(_) => last = Fault::Timeout,
        }
    }
    Err(last)
}

/// A connection on which lines are said and replies heard.
#[derive(Debug)]
pub(crate) struct Line {
    wire: Wire,
    /// What was read, and how much of it was heard.
    held: Vec<u8>,
    heard: usize,
}

#[derive(Debug)]
enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Line {
    const fn new(wire: Wire) -> Self {
        Self {
            wire,
            held: Vec::new(),
            heard: 0,
        }
    }

    /// Begins TLS.
    ///
    /// RFC 3207 4.2: what was said in plain text does not count once TLS begins. A reply that
    /// somebody on the way put behind the server's answer to STARTTLS ends the dialogue here.
    pub(crate) async fn begin_tls(self, tls: &Tls) -> Result<Self, Fault> {
        let Wire::Plain(tcp) = self.wire else {
            return Err(Fault::Garbled("TLS within TLS".to_owned()));
        };
        if self.held.len() > self.heard {
            let why = "the server said more than its answer before TLS began";
            return Err(Fault::Garbled(why.to_owned()));
        }
        let begun = tls.connector.connect(tls.name.clone(), tcp).await;
        let stream = begun.map_err(|err| handshake(&err))?;
        Ok(Self::new(Wire::Tls(Box::new(stream))))
    }

    /// Names the protocol and the cipher, where there is TLS.
    pub(crate) fn tls(&self) -> Option<String> {
        let Wire::Tls(stream) = &self.wire else {
            return None;
        };
        let (_, connection) = stream.get_ref();
        let version = connection.protocol_version();
        let version = version.and_then(|version| version.as_str().map(str::to_owned));
        let suite = connection.negotiated_cipher_suite();
        let suite = suite.and_then(|suite| suite.suite().as_str().map(str::to_owned));
        Some(
            [version, suite]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" "),
        )
    }

    /// Says something, whole, in as few packets as there can be.
    pub(crate) async fn say(&mut self, words: &[u8]) -> Result<(), Fault> {
        let said = async {
            self.wire.write_all(words).await?;
            self.wire.flush().await
        };
        said.await.map_err(|err| Fault::Lost(err.to_string()))
    }

    /// Hears one reply. A negative one is a fault.
    pub(crate) async fn reply(&mut self) -> Result<Response, Fault> {
        let mut text = String::new();
        for _ in 0..MAX_LINES {
            let line = self.line(MAX_REPLY.saturating_sub(text.len())).await?;
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            text.push_str(line);
            // RFC 5321 4.2: the text of a reply may be missing. lettre wants the space before it.
            if line.len() == 3 {
                text.push(' ');
            }
            text.push_str("\r\n");
            if line.as_bytes().get(3) == Some(&b'-') {
                continue;
            }
            let reply: Response = text.parse().map_err(|_| {
                let begin: String = clean(&text).chars().take(200).collect();
                Fault::Garbled(format!("not a reply: {begin}"))
            })?;
            if reply.is_positive() {
                return Ok(reply);
            }
            let words: Vec<&str> = reply.message().collect();
            return Err(Fault::Reply(Reply::new(
                reply.code().into(),
                words.join(" "),
            )));
        }
        Err(endless())
    }

    /// Reads one line of at most so many bytes, with its end.
    async fn line(&mut self, most: usize) -> Result<Vec<u8>, Fault> {
        let mut line = Vec::new();
        loop {
            let rest = self.held.get(self.heard..).unwrap_or_default();
            let end = rest.iter().position(|byte| *byte == b'\n');
            let taken = rest.get(..end.map_or(rest.len(), |end| end + 1));
            let taken = taken.unwrap_or_default();
            line.extend_from_slice(taken);
            self.heard += taken.len();
            if line.len() > most {
                return Err(endless());
            }
            if end.is_some() {
                return Ok(line);
            }
            let mut space = [0; 4_096];
            let count = self.wire.read(&mut space).await;
            let count = count.map_err(|err| Fault::Lost(err.to_string()))?;
            if count == 0 {
                return Err(Fault::Lost("the server hung up".to_owned()));
            }
            self.held.clear();
            self.held
                .extend_from_slice(space.get(..count).unwrap_or_default());
            self.heard = 0;
        }
    }

    /// Tells whether the server has said nothing beyond what was heard, and has not hung up.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut space = [0; 1];
        let mut cx = Context::from_waker(Waker::noop());
        let read = Pin::new(&mut self.wire).poll_read(&mut cx, &mut ReadBuf::new(&mut space));
        self.held.len() == self.heard && read.is_pending()
    }

    /// Says QUIT and waits for nothing: whoever is not heard any more is no reason to stay.
    pub(crate) fn farewell(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        // What does not go at once does not go.
        let said = Pin::new(&mut self.wire).poll_write(&mut cx, b"QUIT\r\n");
        if said.is_ready() {
            drop(Pin::new(&mut self.wire).poll_flush(&mut cx));
        }
    }
}

fn endless() -> Fault {
    Fault::Garbled("the reply has no end".to_owned())
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, into),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, from),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, from),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Connects to a server that says this and hangs up.
    async fn hearing(words: &[u8]) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let second = Duration::from_secs(1);
        let (line, accepted) = tokio::join!(dial("127.0.0.1", port, second), listener.accept());
        let mut peer = accepted.unwrap().0;
        peer.write_all(words).await.unwrap();
        line.unwrap()
    }

    #[tokio::test]
    async fn replies_are_heard_one_by_one_and_a_bare_code_is_one() {
        let mut line = hearing(b"250-a\r\n250\r\n354 go\n550-5.1.1 no\r\n550 such user\r\n").await;
        let first = line.reply().await.unwrap();
        assert_eq!(first.message().collect::<Vec<_>>(), ["a", ""]);
        assert!(!line.is_quiet(), "there is more");
        assert!(line.reply().await.unwrap().has_code(354));
        let no = Reply::new(550, "5.1.1 no such user".to_owned());
        assert_eq!(line.reply().await.unwrap_err(), Fault::Reply(no));
        let gone = line.reply().await.unwrap_err();
        assert!(matches!(gone, Fault::Lost(_)), "{gone:?}");
    }

    #[tokio::test]
    async fn what_is_no_reply_or_has_no_end_is_garbled() {
        let endless = "250-and so on\r\n".repeat(1_000);
        let wide = format!("250 {}\r\n", "x".repeat(MAX_REPLY));
        let table = [
            "hello there\r\n",
            "25\r\n",
            "\r\n",
            "250-a\r\n251 b\r\n",
            &endless,
            &wide,
        ];
        for words in table {
            let heard = hearing(words.as_bytes()).await.reply().await;
            assert!(
                matches!(heard, Err(Fault::Garbled(_))),
                "{words:.20?}: {heard:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_was_said_before_tls_does_not_count_after_it() {
        let mut line = hearing(b"220 go\r\n250 forged\r\n").await;
        line.reply().await.unwrap();
        let secrets = notify_core::Secrets::default();
        let tls = Tls::new("localhost", &crate::config::TlsConfig::default(), &secrets).unwrap();
        let fault = line.begin_tls(&tls).await.unwrap_err();
        assert!(
            format!("{fault:?}").contains("before TLS began"),
            "{fault:?}"
        );
    }
}
