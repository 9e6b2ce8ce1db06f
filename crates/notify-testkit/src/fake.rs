//! Servers on loopback that do what a script says, below the protocol where need be.
//!
//! Each runs on threads of its own, so that a test may stop its runtime's clock, and ends when it is
//! dropped. None waits for time: what takes long is given out by hand ([`HttpFake::let_out`]).

mod http;
mod progress;
mod smtp;

#[cfg(test)]
mod tests;

pub use crate::fake::http::{HttpFake, Reply, Request, Step};
pub use crate::fake::progress::Progress;
pub use crate::fake::smtp::{CERTIFICATE, Mail, SmtpAct, SmtpFake, SmtpScript};

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

/// An address of this machine where nobody listens, held so that nobody else begins to.
#[derive(Debug)]
pub struct Refusing(Socket);

impl Refusing {
    /// Takes an address.
    pub fn start() -> Self {
        Self(bound())
    }

    /// Returns the address.
    pub fn address(&self) -> SocketAddr {
        address(&self.0)
    }
}

/// An address of this machine where connections are neither taken nor refused.
///
/// Its queue is full, so the system lets everybody wait.
#[derive(Debug)]
pub struct Unopened {
    socket: Socket,
    _queue: Vec<Socket>,
}

impl Unopened {
    /// Takes an address and fills its queue.
    pub fn start() -> Self {
        let socket = bound();
        socket.listen(0).unwrap();
        let waiting = |_| {
            let caller = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            caller.set_nonblocking(true).unwrap();
            // Begun, and never waited for.
            caller.connect(&address(&socket).into()).ok();
            caller
        };
        let queue = (0..4).map(waiting).collect();
        Self {
            socket,
            _queue: queue,
        }
    }

    /// Returns the address.
    pub fn address(&self) -> SocketAddr {
        address(&self.socket)
    }
}

fn bound() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    socket.bind(&any.into()).unwrap();
    socket
}

fn address(socket: &Socket) -> SocketAddr {
    socket.local_addr().unwrap().as_socket().unwrap()
}

/// Ends a connection as a machine does that has lost its memory of it.
fn reset(stream: TcpStream) {
    let linger = Some(Duration::ZERO);
    SockRef::from(&stream).set_linger(linger).ok();
    drop(stream);
}
