//! Which addresses a request may be led to by a name that a stranger chose.
//!
//! **Invariant.** What is checked is what is connected to: the addresses pass through here on their
//! way from the name server to the connection, so an answer that changes in between changes nothing.
//!
//! The ranges are those that the registries of special-purpose addresses do not call globally
//! reachable (<https://www.iana.org/assignments/iana-ipv4-special-registry>,
//! <https://www.iana.org/assignments/iana-ipv6-special-registry>), and the addresses at which clouds
//! serve credentials to their machines.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

/// Why a request is not led there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotPublic {
    host: String,
    what: &'static str,
}

impl NotPublic {
    fn new(host: impl fmt::Display, what: &'static str) -> Self {
        let host = host.to_string();
        Self { host, what }
    }
}

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {}, not of the internet", self.host, self.what)
    }
}

impl std::error::Error for NotPublic {}

/// Asks for the addresses of a name.
#[async_trait]
pub trait Resolver: fmt::Debug + Send + Sync {
    /// Returns every address that the name leads to.
    ///
    /// # Errors
    ///
    /// When the name cannot be looked up.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// Stands between a resolver and the connections: passes on what is public, and nothing else.
#[derive(Debug)]
pub(crate) struct Guarded(Arc<dyn Resolver>);

impl Guarded {
    pub(crate) fn new(resolver: Arc<dyn Resolver>) -> Self {
        Self(resolver)
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let name = name.as_str();
            check_name(name)?;
            let found = resolver.resolve(name).await?;
            if found.is_empty() {
                let message = format!("`{name}` has no address");
                return Err(io::Error::new(io::ErrorKind::NotFound, message).into());
            }
            // One private address among public ones is how a check of the first one is passed.
            for address in &found {
                if let Some(what) = special(*address) {
                    let host = format!("{name} ({address})");
                    return Err(NotPublic::new(host, what).into());
                }
            }
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// Checks a host as it stands in an address; of a name only what the name itself gives away.
///
/// # Errors
///
/// When it is not of the internet.
pub(crate) fn check_host(host: Option<&Host<&str>>) -> Result<(), NotPublic> {
    let check = |address: IpAddr| match special(address) {
        Some(what) => Err(NotPublic::new(address, what)),
        None => Ok(()),
    };
    match host {
        Some(Host::Domain(name)) => check_name(name),
        Some(Host::Ipv4(address)) => check((*address).into()),
        Some(Host::Ipv6(address)) => check((*address).into()),
        None => Err(NotPublic::new("", "no host")),
    }
}

/// Names that mean this machine or a cloud's own service wherever they are looked up.
fn check_name(name: &str) -> Result<(), NotPublic> {
    const OWN: [&str; 5] = [
        "localhost",
        "localhost.localdomain",
        "localhost6",
        "ip6-localhost",
        "ip6-loopback",
    ];
    // RFC 6761 and RFC 6762 keep these out of the name servers of the internet; the last is ICANN's
    // name for what is private.
    const PRIVATE: [&str; 4] = [".localhost", ".localdomain", ".local", ".internal"];
    let lower = name.to_ascii_lowercase();
    let bare = lower.trim_end_matches('.');
    if OWN.contains(&bare) {
        Err(NotPublic::new(name, "a name of this machine"))
    } else if PRIVATE.iter().any(|ending| bare.ends_with(ending)) {
        Err(NotPublic::new(name, "a name of a private network"))
    } else {
        Ok(())
    }
}

/// Says what an address is, where it is not one of the internet.
fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

const METADATA: &str = "a cloud's own address";
const RESERVED: &str = "a reserved address";

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    Some(match address.octets() {
        // AWS, Azure, Google and others; Azure's second; Alibaba; Oracle.
        [169, 254, 169, 254] | [168, 63, 129, 16] | [100, 100, 100, 200] | [192, 0, 0, 192] => {
            METADATA
        }
        [127, ..] => "a loopback address",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "a private address",
        [100, 64..=127, ..] => "a carrier's inner address",
        [169, 254, ..] => "a link-local address",
        [0 | 240..=255, ..] | [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] => RESERVED,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "an address of documents",
        [224..=239, ..] => "a multicast address",
        _ => return None,
    })
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    Some(match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] => "a loopback address",
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => {
            METADATA
        }
        [0, 0, 0, 0, 0, 0xffff, ..] => "an IPv4 address in the form of IPv6",
        // What a translator of the network leads to an IPv4 address (RFC 6052).
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            return special_v4(Ipv4Addr::new(a, b, c, d));
        }
        [0xfc00..=0xfdff, ..] => "a private address",
        [0xfe80..=0xfebf, ..] => "a link-local address",
        [0xff00..=0xffff, ..] => "a multicast address",
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => "an address of documents",
        // Tunnels, which hold an IPv4 address of their own, and further protocols.
        [0x2001, 0..=0x01ff, ..] | [0x2002, ..] => RESERVED,
        [0x2000..=0x3fff, ..] => return None,
        _ => RESERVED,
    })
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        let table = [
            ("8.8.8.8", None),
            ("93.184.216.34", None),
            ("100.63.255.255", None),
            ("100.128.0.0", None),
            ("172.15.255.255", None),
            ("172.32.0.0", None),
            ("198.17.255.255", None),
            ("223.255.255.255", None),
            ("0.0.0.0", Some(RESERVED)),
            ("0.1.2.3", Some(RESERVED)),
            ("10.0.0.1", Some("a private address")),
            ("127.0.0.1", Some("a loopback address")),
            ("127.255.255.254", Some("a loopback address")),
            ("100.64.0.1", Some("a carrier's inner address")),
            ("100.100.100.200", Some(METADATA)),
            ("168.63.129.16", Some(METADATA)),
            ("169.254.169.254", Some(METADATA)),
            ("192.0.0.192", Some(METADATA)),
            ("169.254.0.1", Some("a link-local address")),
            ("172.16.0.1", Some("a private address")),
            ("172.31.255.255", Some("a private address")),
            ("192.168.0.1", Some("a private address")),
            ("192.0.0.8", Some(RESERVED)),
            ("192.0.2.1", Some("an address of documents")),
            ("192.88.99.1", Some(RESERVED)),
            ("198.18.0.1", Some(RESERVED)),
            ("198.51.100.1", Some("an address of documents")),
            ("203.0.113.1", Some("an address of documents")),
            ("224.0.0.1", Some("a multicast address")),
            ("240.0.0.1", Some(RESERVED)),
            ("255.255.255.255", Some(RESERVED)),
            ("2606:2800:220:1:248:1893:25c8:1946", None),
            ("2001:4860:4860::8888", None),
            ("::", Some(RESERVED)),
            ("::1", Some("a loopback address")),
            ("::7f00:1", Some(RESERVED)),
            (
                "::ffff:127.0.0.1",
                Some("an IPv4 address in the form of IPv6"),
            ),
            (
                "::ffff:8.8.8.8",
                Some("an IPv4 address in the form of IPv6"),
            ),
            ("64:ff9b::8.8.8.8", None),
            ("64:ff9b::10.0.0.1", Some("a private address")),
            ("64:ff9b::169.254.169.254", Some(METADATA)),
            ("64:ff9b:1::8.8.8.8", Some(RESERVED)),
            ("100::1", Some(RESERVED)),
            ("2001::1", Some(RESERVED)),
            ("2001:db8::1", Some("an address of documents")),
            ("2002:7f00:1::", Some(RESERVED)),
            ("3fff::1", Some("an address of documents")),
            ("4000::1", Some(RESERVED)),
            ("fc00::1", Some("a private address")),
            ("fd00:ec2::254", Some(METADATA)),
            ("fe80::1", Some("a link-local address")),
            ("fec0::1", Some(RESERVED)),
            ("ff02::1", Some("a multicast address")),
        ];
        for (address, expected) in table {
            assert_eq!(special(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn every_way_to_write_an_inner_host_is_seen_through() {
        let refused = [
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://localhost.localdomain/",
            "https://ip6-loopback/",
            "https://printer.local/",
            "https://metadata.google.internal/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://127.0.0.1./",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.0x0.0x0.0x1/",
            "https://0177.0.0.1/",
            "https://017700000001/",
            "https://0/",
            "https://%31%32%37.0.0.1/",
            "https://１２７.０.０.１/",
            "https://①②⑦.0.0.1/",
            "https://3232235521/",
            "https://0xa9fea9fe/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://[0:0:0:0:0:ffff:a9fe:a9fe]/",
            "https://[fe80::1]/",
            "https://[fd00:ec2::254]/",
        ];
        for text in refused {
            let url = url::Url::parse(text).unwrap();
            assert!(check_host(url.host().as_ref()).is_err(), "{text}");
        }
        for text in ["https://example.com/", "https://8.8.8.8/", "https://ci/"] {
            let url = url::Url::parse(text).unwrap();
            assert_eq!(check_host(url.host().as_ref()), Ok(()), "{text}");
        }
    }

    /// Gives one answer after the other.
    #[derive(Debug)]
    struct Scripted(Mutex<Vec<Vec<&'static str>>>);

    #[async_trait]
    impl Resolver for Scripted {
        async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            let answer = self.0.lock().unwrap().remove(0);
            Ok(answer.iter().map(|text| text.parse().unwrap()).collect())
        }
    }

    #[tokio::test]
    async fn every_answer_of_a_name_is_checked_each_time() {
        let answers = vec![
            vec!["8.8.8.8", "2606:4700::1111"],
            vec!["127.0.0.1"],
            vec!["8.8.8.8", "10.0.0.1"],
            vec!["::ffff:8.8.8.8"],
            vec![],
        ];
        let guarded = Guarded::new(Arc::new(Scripted(Mutex::new(answers))));
        let ask = || guarded.resolve(Name::from_str("hooks.example.com").unwrap());
        let public: Vec<_> = ask().await.unwrap().map(|found| found.ip()).collect();
        let expected: [IpAddr; 2] = [
            "8.8.8.8".parse().unwrap(),
            "2606:4700::1111".parse().unwrap(),
        ];
        assert_eq!(public, expected);
        let expected = [
            "`hooks.example.com (127.0.0.1)` is a loopback address, not of the internet",
            "`hooks.example.com (10.0.0.1)` is a private address, not of the internet",
            "`hooks.example.com (::ffff:8.8.8.8)` is an IPv4 address in the form of IPv6, not of the internet",
            "`hooks.example.com` has no address",
        ];
        for expected in expected {
            let refused = ask().await.err().unwrap();
            assert_eq!(refused.to_string(), expected);
        }
    }
}
