//! A loopback HTTP server that answers by script, one connection for each request.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

/// What the server does once it has read a request.
pub(crate) enum Step {
    /// Answers with these bytes and closes.
    Answer(String),
    /// Closes without a word.
    Close,
    /// Says nothing until the client gives up.
    Silence,
}

impl Step {
    /// Answers with a status, further header lines (each with its line break) and a body.
    pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Answer(format!(
            "HTTP/1.1 {status} Scripted\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        ))
    }
}

/// The server; it ends after the last step.
pub(crate) struct Server {
    address: SocketAddr,
    thread: JoinHandle<Vec<String>>,
}

impl Server {
    /// Listens, and takes one request for each step.
    pub(crate) fn start(script: Vec<Step>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            script
                .into_iter()
                .map(|step| {
                    let (mut stream, _) = listener.accept().unwrap();
                    let request = read_request(&mut stream);
                    match step {
                        Step::Answer(answer) => stream.write_all(answer.as_bytes()).unwrap(),
                        Step::Close => {}
                        // Ends when the client closes its side.
                        Step::Silence => {
                            stream.read_to_end(&mut Vec::new()).ok();
                        }
                    }
                    request
                })
                .collect()
        });
        Self { address, thread }
    }

    /// Returns the address with this path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits for the end of the script and gives the requests as they came.
    pub(crate) async fn requests(self) -> Vec<String> {
        // The client's side of a connection closes on the runtime, so that must not be blocked.
        tokio::task::spawn_blocking(|| self.thread.join().unwrap())
            .await
            .unwrap()
    }
}

/// Returns an address where nobody listens.
pub(crate) fn refused_url(path: &str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    format!("http://{}{path}", listener.local_addr().unwrap())
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.parse::<usize>().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        let mut chunk = [0; 8_192];
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "the request ends early: {text}");
        bytes.extend_from_slice(&chunk[..read]);
    }
}
