//! An SMTP server that answers by script, one act for each stage of the dialogue.

mod script;

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub use self::script::{SmtpAct, SmtpScript};
use crate::fake::progress::{Listening, Progress, Shared};
use crate::fake::reset;

/// The certificate, in PEM, that the server shows after STARTTLS: for `localhost` and `127.0.0.1`.
///
/// It signs itself and its key is in this crate, so nobody trusts it who was not told to.
pub const CERTIFICATE: &str = include_str!("tls/certificate.pem");

/// What the server saw of one mail.
///
/// What was said before a connection's first mail is with that one; each further MAIL FROM begins
/// another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mail {
    /// The commands, in order.
    pub commands: Vec<String>,
    /// The mail as it was on the wire, dots still doubled, the final one left out.
    pub wire: Option<String>,
    /// Whether it ended under TLS.
    pub tls: bool,
}

type Choose = dyn FnMut(usize) -> SmtpScript + Send;

/// An SMTP server on loopback that answers by script and remembers what it was told.
///
/// ```
/// use std::io::{BufRead, BufReader};
/// use std::net::TcpStream;
///
/// use notify_testkit::fake::{SmtpFake, SmtpScript};
///
/// let fake = SmtpFake::start(SmtpScript::default().greeting("554 5.3.2 not today"));
/// let mut line = String::new();
/// BufReader::new(TcpStream::connect(fake.address())?).read_line(&mut line)?;
/// assert_eq!(line, "554 5.3.2 not today\r\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct SmtpFake {
    listening: Listening,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl SmtpFake {
    /// Plays the script in every connection.
    pub fn start(script: SmtpScript) -> Self {
        Self::answering(move |_| script.clone())
    }

    /// Plays in each connection the script that this function names; it is told how many came before.
    pub fn answering(choose: impl FnMut(usize) -> SmtpScript + Send + 'static) -> Self {
        let choose: Arc<Mutex<(Box<Choose>, usize)>> = Arc::new(Mutex::new((Box::new(choose), 0)));
        let mails: Arc<Mutex<Vec<Mail>>> = Arc::default();
        let record = Arc::clone(&mails);
        let listening = Listening::start(move |stream, shared| {
            let (index, script) = {
                let mut record = record.lock().unwrap();
                let index = record.len();
                record.push(Mail::default());
                let (choose, before) = &mut *choose.lock().unwrap();
                *before += 1;
                (index, choose(*before - 1))
            };
            let index = Cell::new(index);
            let mut dialogue = Dialogue {
                line: Line::Plain(stream),
                script,
                shared,
                said: Vec::new(),
                note: |change: &dyn Fn(&mut Mail)| {
                    change(&mut record.lock().unwrap()[index.get()]);
                },
                begin: || {
                    let mut record = record.lock().unwrap();
                    let tls = record[index.get()].tls;
                    index.set(record.len());
                    record.push(Mail {
                        tls,
                        ..Mail::default()
                    });
                },
                mails: 0,
            };
            // A client that hangs up ends the dialogue, and that is all there is to say of it.
            dialogue.hold().ok();
            if let (Line::Plain(stream), true) = (dialogue.line, shared.now().reset) {
                reset(stream);
            }
        });
        Self { listening, mails }
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// Returns what was said about each mail so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }

    /// Returns what the server has seen and done so far.
    pub fn progress(&self) -> Progress {
        self.listening.shared.now()
    }

    /// Waits until the server has seen or done what is wanted.
    pub async fn until(&self, wanted: impl FnMut(&Progress) -> bool) -> Progress {
        self.listening.shared.until(wanted).await
    }

    /// Lets out so many bytes of the replies that drip.
    pub fn let_out(&self, bytes: usize) {
        self.listening.shared.let_out(bytes);
    }
}

impl fmt::Debug for SmtpFake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpFake({})", self.address())
    }
}

/// One connection.
struct Dialogue<'a, N, B> {
    line: Line,
    script: SmtpScript,
    shared: &'a Shared,
    said: Vec<String>,
    note: N,
    /// Begins the record of another mail.
    begin: B,
    mails: usize,
}

enum Line {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
    /// Between the two.
    Gone,
}

impl<N: Fn(&dyn Fn(&mut Mail)), B: Fn()> Dialogue<'_, N, B> {
    fn hold(&mut self) -> io::Result<()> {
        let mut act = self.script.greeting.clone();
        let mut under_tls = false;
        let mut asked = false;
        if self.script.tls {
            self.begin_tls()?;
            (self.note)(&|mail| mail.tls = true);
        }
        loop {
            self.act(&act)?;
            asked = matches!(&act, SmtpAct::Say(words) if words.starts_with("334")) || asked;
            let said = self.read_line()?;
            if said.to_ascii_uppercase().starts_with("MAIL ") {
                if self.mails > 0 {
                    (self.begin)();
                }
                self.mails += 1;
            }
            (self.note)(&|mail| mail.commands.push(said.clone()));
            self.said.push(said.clone());
            self.shared.note(|progress| progress.requests += 1);
            let verb = said.split([' ', ':']).next().unwrap_or_default();
            act = match verb.to_ascii_uppercase().as_str() {
                "EHLO" if under_tls => self.script.ehlo_again.clone(),
                "EHLO" => self.script.ehlo.clone(),
                "STARTTLS" => {
                    let act = self.script.starttls.clone();
                    if matches!(&act, SmtpAct::Say(words) if words.starts_with("220")) {
                        self.act(&act)?;
                        self.begin_tls()?;
                        under_tls = true;
                        let said = self.read_line()?;
                        (self.note)(&|mail| {
                            mail.tls = true;
                            mail.commands.push(said.clone());
                        });
                        self.script.ehlo_again.clone()
                    } else {
                        act
                    }
                }
                "MAIL" => match &self.script.mail_again {
                    Some(act) if self.mails > 1 => act.clone(),
                    _ => self.script.mail.clone(),
                },
                "RCPT" => {
                    let mut own = self.script.rcpt_for.iter();
                    let own = own.find(|(text, _)| self.said.last().unwrap().contains(text));
                    own.map_or(&self.script.rcpt, |(_, act)| act).clone()
                }
                "DATA" => {
                    let act = self.script.data.clone();
                    if matches!(&act, SmtpAct::Say(words) if words.starts_with("354")) {
                        self.act(&act)?;
                        let wire = self.read_mail()?;
                        (self.note)(&|mail| mail.wire = Some(wire.clone()));
                        match &self.script.message_for {
                            Some((text, act)) if wire.contains(text) => act.clone(),
                            _ => self.script.message.clone(),
                        }
                    } else {
                        act
                    }
                }
                "QUIT" => SmtpAct::Last("221 2.0.0 bye".to_owned()),
                "RSET" | "NOOP" => "250 2.0.0 ok".into(),
                // AUTH, and the answers to a challenge of it.
                _ => match &self.script.auth_again {
                    Some(act) if asked => act.clone(),
                    _ => self.script.auth.clone(),
                },
            };
        }
    }

    fn act(&mut self, act: &SmtpAct) -> io::Result<()> {
        let over = || io::Error::from(io::ErrorKind::ConnectionAborted);
        match act {
            SmtpAct::Say(words) => self.say(format!("{words}\r\n").as_bytes()),
            SmtpAct::Last(words) => {
                self.say(format!("{words}\r\n").as_bytes())?;
                Err(over())
            }
            SmtpAct::Close => Err(over()),
            SmtpAct::Reset => {
                self.shared.note(|progress| progress.reset = true);
                Err(over())
            }
            SmtpAct::Silence => {
                self.shared.note(|progress| progress.silent += 1);
                while self.read_line().is_ok() {}
                Err(over())
            }
            SmtpAct::Drip(words) => {
                for byte in format!("{words}\r\n").bytes() {
                    if !self.shared.one_more() {
                        return Err(over());
                    }
                    self.say(&[byte])?;
                }
                Ok(())
            }
            SmtpAct::Endless => {
                let lines = "250-and so on\r\n".repeat(4_096);
                for _ in 0..1_024 {
                    self.say(lines.as_bytes())?;
                }
                Err(over())
            }
            SmtpAct::Echo => {
                let said = self.said.join("; ");
                self.say(format!("554 5.6.0 you said: {said}\r\n").as_bytes())
            }
        }
    }

    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.line {
            Line::Plain(stream) => stream.write_all(bytes),
            Line::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Line::Gone => Err(io::ErrorKind::NotConnected.into()),
        }?;
        self.shared.note(|progress| progress.written += bytes.len());
        Ok(())
    }

    fn read_byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        match &mut self.line {
            Line::Plain(stream) => stream.read_exact(&mut byte),
            Line::Tls(stream) => stream.read_exact(&mut byte),
            Line::Gone => Err(io::ErrorKind::NotConnected.into()),
        }?;
        Ok(byte[0])
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            line.push(self.read_byte()?);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn read_mail(&mut self) -> io::Result<String> {
        let mut wire = b"\r\n".to_vec();
        while !wire.ends_with(b"\r\n.\r\n") {
            wire.push(self.read_byte()?);
        }
        let mail = &wire[2..wire.len() - 3];
        Ok(String::from_utf8_lossy(mail).into_owned())
    }

    fn begin_tls(&mut self) -> io::Result<()> {
        let Line::Plain(stream) = std::mem::replace(&mut self.line, Line::Gone) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let connection = ServerConnection::new(server_config()).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        self.line = Line::Tls(Box::new(stream));
        Ok(())
    }
}

fn server_config() -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/key.pem")).unwrap();
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}
