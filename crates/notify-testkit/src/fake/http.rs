//! An HTTP server *below* HTTP: it reads whole requests, and answers with any bytes or none.

use std::fmt::{self, Write as _};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::str;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::fake::progress::{Listening, Progress, Shared};
use crate::fake::reset;

/// The most that [`Step::Endless`] writes; who reads all of it has no bound.
const ENDLESS: usize = 64 * 1024 * 1024;

/// The largest request that is read.
const LARGEST: usize = 64 * 1024 * 1024;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Further header lines.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// Answers with a status and nothing else.
    pub const fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// Answers with JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    /// Writes the answer as it goes over the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.head(Some(self.body.len()));
        bytes.extend_from_slice(self.body.as_bytes());
        bytes
    }

    fn head(&self, length: Option<usize>) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        if let Some(length) = length {
            write!(head, "content-length: {length}\r\n").unwrap();
        }
        head.push_str("connection: close\r\n\r\n");
        head.into_bytes()
    }
}

/// What the server does once it has read a request. Then it closes the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Answers.
    Reply(Reply),
    /// Writes these bytes, whether or not they are HTTP.
    Bytes(Vec<u8>),
    /// Answers with this status, and in the body with all that it was asked.
    Echo(u16),
    /// Closes without a word.
    Close,
    /// Resets the connection.
    Reset,
    /// Says nothing until the client hangs up.
    Silence,
    /// Says half of this answer, and then nothing until the client hangs up.
    Stall(Reply),
    /// Answers byte by byte, each when it is let out.
    Drip(Reply),
    /// Answers with this, and its body again and again without end.
    Endless(Reply),
}

impl From<Reply> for Step {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// A request as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    text: String,
    head: usize,
}

impl Request {
    /// Takes what came over a wire: lines, an empty one, the rest.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let head = text.find("\r\n\r\n").map_or(text.len(), |end| end + 4);
        Self { text, head }
    }

    /// Returns all of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the first line: `POST /v2/enqueue HTTP/1.1`.
    pub fn line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// Returns the path with the query.
    pub fn path(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    /// Walks the header lines.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let head = self.text.get(..self.head).unwrap_or_default();
        head.lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name, value.trim()))
    }

    /// Returns a header's value.
    pub fn header(&self, wanted: &str) -> Option<&str> {
        self.headers()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value)
    }

    /// Returns the body.
    pub fn body(&self) -> &str {
        self.text.get(self.head..).unwrap_or_default()
    }

    /// Reads the body as JSON; `null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(self.body()).unwrap_or_default()
    }

    /// Returns the text at a JSON pointer into the body.
    ///
    /// ```
    /// use notify_testkit::fake::Request;
    ///
    /// let request = Request::new("POST / HTTP/1.1\r\n\r\n{\"id\": \"a\"}");
    /// assert_eq!(request.json_text("/id").as_deref(), Some("a"));
    /// ```
    pub fn json_text(&self, pointer: &str) -> Option<String> {
        Some(self.json().pointer(pointer)?.as_str()?.to_owned())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

type Choose = dyn FnMut(&Request, usize) -> Step + Send;

/// An HTTP server on loopback that answers by script and remembers what it was asked.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
///
/// use notify_testkit::fake::{HttpFake, Reply};
///
/// let fake = HttpFake::start([Reply::new(429).header("retry-after", "17")]);
/// let mut stream = TcpStream::connect(fake.address())?;
/// stream.write_all(b"POST /v1/send HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}")?;
/// let mut answer = String::new();
/// stream.read_to_string(&mut answer)?;
/// assert!(answer.starts_with("HTTP/1.1 429 "));
/// assert_eq!(fake.requests()[0].path(), "/v1/send");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct HttpFake {
    listening: Listening,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl HttpFake {
    /// Takes one step for each request, in the order in which they come; after the last one every
    /// further request is answered with status 500.
    pub fn start<S: Into<Step>>(script: impl IntoIterator<Item = S>) -> Self {
        let script: Vec<Step> = script.into_iter().map(Into::into).collect();
        let over = Step::Reply(Reply::new(500).body("the script is over"));
        Self::answering(move |_, index| script.get(index).unwrap_or(&over).clone())
    }

    /// Takes for each request the step that this function names; it is told how many came before.
    pub fn answering(choose: impl FnMut(&Request, usize) -> Step + Send + 'static) -> Self {
        let choose: Arc<Mutex<Box<Choose>>> = Arc::new(Mutex::new(Box::new(choose)));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&requests);
        let listening = Listening::start(move |mut stream, shared| {
            let Some(request) = read_request(&mut stream) else {
                return;
            };
            let step = {
                let mut record = record.lock().unwrap();
                let step = choose.lock().unwrap()(&request, record.len());
                record.push(request.clone());
                step
            };
            shared.note(|progress| progress.requests += 1);
            take(stream, step, &request, shared);
        });
        Self {
            listening,
            requests,
        }
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// Returns the address with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// Returns the requests that came so far; a client that has its answer finds its request here.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Returns what the server has seen and done so far.
    pub fn progress(&self) -> Progress {
        self.listening.shared.now()
    }

    /// Waits until the server has seen or done what is wanted.
    pub async fn until(&self, wanted: impl FnMut(&Progress) -> bool) -> Progress {
        self.listening.shared.until(wanted).await
    }

    /// Lets out so many bytes of the answers that drip.
    pub fn let_out(&self, bytes: usize) {
        self.listening.shared.let_out(bytes);
    }
}

impl fmt::Debug for HttpFake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpFake({})", self.address())
    }
}

/// Takes one step. What the client makes of it, hanging up included, is its own affair.
fn take(mut stream: TcpStream, step: Step, request: &Request, shared: &Shared) {
    let mut say = |bytes: &[u8]| {
        let said = stream.write_all(bytes).is_ok();
        shared.note(|progress| progress.written += if said { bytes.len() } else { 0 });
        said
    };
    match step {
        Step::Reply(reply) => {
            say(&reply.to_bytes());
        }
        Step::Bytes(bytes) => {
            say(&bytes);
        }
        Step::Echo(status) => {
            say(&Reply::new(status).body(request.text()).to_bytes());
        }
        Step::Close => {}
        Step::Reset => reset(stream),
        Step::Silence => wait(&mut stream, shared),
        Step::Stall(reply) => {
            let bytes = reply.to_bytes();
            say(&bytes[..bytes.len() - 1]);
            wait(&mut stream, shared);
        }
        Step::Drip(reply) => {
            for byte in reply.to_bytes() {
                if !shared.one_more() || !say(&[byte]) {
                    return;
                }
            }
        }
        Step::Endless(reply) => {
            let body = reply.body.repeat(64 * 1024 / reply.body.len().max(1) + 1);
            let mut written = 0;
            let mut alive = say(&reply.head(None));
            while alive && written < ENDLESS {
                alive = say(body.as_bytes());
                written += body.len();
            }
        }
    }
}

/// Says nothing until the client closes its side.
fn wait(stream: &mut TcpStream, shared: &Shared) {
    shared.note(|progress| progress.silent += 1);
    stream.read_to_end(&mut Vec::new()).ok();
}

/// Reads one request to its end; `None` where the client hangs up before.
fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = find(&bytes, b"\r\n\r\n") {
            let request = Request::new(String::from_utf8_lossy(bytes.get(..end + 4)?));
            let body = bytes.get(end + 4..)?;
            let chunked = request.header("transfer-encoding").is_some();
            let length = request.header("content-length");
            let length = length.map_or(0, |length| length.parse().unwrap_or(0));
            let whole = if chunked {
                body.ends_with(b"0\r\n\r\n")
            } else {
                body.len() >= length
            };
            if whole {
                return Some(Request::new(String::from_utf8_lossy(&bytes)));
            }
        }
        let mut chunk = [0; 16 * 1024];
        let read = stream.read(&mut chunk).ok()?;
        if read == 0 || bytes.len() > LARGEST {
            return None;
        }
        bytes.extend_from_slice(chunk.get(..read)?);
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
