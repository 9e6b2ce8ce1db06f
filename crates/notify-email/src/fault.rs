//! From what the system and TLS say to faults of ours.

use std::io;

use notify_core::Reason;

use crate::smtp::Fault;

/// Reads why there is no TLS.
pub(crate) fn handshake(err: &io::Error) -> Fault {
    match tls_fault(err) {
        Some(fault) => fault,
        None => Fault::Lost(err.to_string()),
    }
}

/// Finds a failed handshake: what repeating does not mend is the configuration's fault.
fn tls_fault(err: &io::Error) -> Option<Fault> {
    let tls = err.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match tls {
        rustls::Error::InvalidCertificate(_) => Fault::Refused(
            Reason::Config,
            format!("the server's certificate is not trusted: {tls}"),
        ),
        rustls::Error::InvalidMessage(_) => Fault::Refused(
            Reason::Config,
            format!("the server does not speak TLS here; see that scheme and port fit: {tls}"),
        ),
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::NoCertificatesPresented
        | rustls::Error::UnsupportedNameType => {
            Fault::Refused(Reason::Config, format!("no TLS with this server: {tls}"))
        }
        _ => Fault::Garbled(format!("no TLS: {tls}")),
    })
}

/// Reads why there is no connection.
pub(crate) fn unreachable(err: &io::Error) -> Fault {
    // The resolver's "there is no such name" has no error kind of its own, only words: glibc's,
    // musl's, and those of the BSDs.
    const NO_SUCH_NAME: [&str; 3] = [
        "Name or service not known",
        "Name does not resolve",
        "nodename nor servname provided",
    ];
    let why = err.to_string();
    if NO_SUCH_NAME.iter().any(|words| why.contains(words)) {
        return Fault::Refused(
            Reason::Config,
            format!("the server's name does not exist: {why}"),
        );
    }
    Fault::Lost(why)
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

    use super::*;

    #[test]
    fn a_handshake_that_cannot_succeed_is_a_wrong_setting() {
        let table = [
            (
                Error::InvalidCertificate(CertificateError::UnknownIssuer),
                true,
            ),
            (
                Error::InvalidMessage(InvalidMessage::InvalidContentType),
                true,
            ),
            (Error::AlertReceived(AlertDescription::InternalError), false),
        ];
        for (err, wrong_setting) in table {
            let words = err.to_string();
            let fault = tls_fault(&io::Error::new(io::ErrorKind::InvalidData, err)).unwrap();
            let refused = matches!(fault, Fault::Refused(Reason::Config, _));
            assert_eq!(refused, wrong_setting, "{words}");
        }
        assert_eq!(tls_fault(&io::ErrorKind::ConnectionReset.into()), None);
    }

    #[test]
    fn a_name_that_does_not_exist_is_a_wrong_setting_and_a_resolver_in_trouble_is_not() {
        let lookup = |words: &str| {
            unreachable(&io::Error::other(format!(
                "failed to lookup address information: {words}"
            )))
        };
        assert!(matches!(
            lookup("Name or service not known"),
            Fault::Refused(Reason::Config, _)
        ));
        assert!(matches!(
            lookup("Temporary failure in name resolution"),
            Fault::Lost(_)
        ));
    }
}
