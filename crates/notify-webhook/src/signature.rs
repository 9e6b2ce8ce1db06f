//! Signatures of Standard Webhooks 1.0.0: what a receiver checks to know who sent, what, and when.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use notify_core::Malformed;
use notify_core::secret::{ExposeSecret, SecretString};

/// The header with the delivery's identity, the same on every attempt.
pub(crate) const ID: &str = "webhook-id";
/// The header with the instant of the attempt, in seconds since 1970.
pub(crate) const TIMESTAMP: &str = "webhook-timestamp";
/// The header with one signature for each key.
pub(crate) const SIGNATURE: &str = "webhook-signature";

/// What secrets of the symmetric scheme begin with; they are often copied without it.
const PREFIX: &str = "whsec_";

/// What private keys of the asymmetric scheme begin with.
const ASYMMETRIC: &str = "whsk_";

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A key that the receiver knows too.
#[derive(Clone, Debug)]
pub(crate) struct SigningKey(hmac::Key);

impl SigningKey {
    /// Reads a secret: `whsec_` and the base64 form of 24 to 64 bytes.
    pub(crate) fn new(secret: &SecretString) -> Result<Self, Malformed> {
        let text = secret.expose_secret().trim();
        let refused = |what: &str| {
            Malformed::new(format!("not a signing key: {what}"))
                .help("it is `whsec_` and 24 to 64 random bytes in base64")
                .sensitive()
        };
        if text.starts_with(ASYMMETRIC) {
            return Err(refused("a key of the asymmetric scheme"));
        }
        let encoded = text.strip_prefix(PREFIX).unwrap_or(text);
        let bytes = BASE64
            .decode(encoded)
            .map_err(|_| refused("no base64 after `whsec_`"))?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(refused("too short or too long"));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    fn sign(&self, content: &[u8]) -> String {
        let tag = hmac::sign(&self.0, content);
        format!("v1,{}", BASE64.encode(tag))
    }
}

/// Signs one attempt with every key, so that a receiver which knows one of them is content.
pub(crate) fn signature(keys: &[SigningKey], id: &str, timestamp: i64, body: &[u8]) -> String {
    let mut content = format!("{id}.{timestamp}.").into_bytes();
    content.extend_from_slice(body);
    let signatures: Vec<String> = keys.iter().map(|key| key.sign(&content)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn key(secret: &str) -> Result<SigningKey, Malformed> {
        SigningKey::new(&secret.into())
    }

    #[test]
    fn a_signature_is_that_of_the_published_vector() {
        let sign = |secret: &str| {
            let keys = [key(secret).unwrap()];
            let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
            signature(&keys, id, 1_614_265_330, b"{\"test\": 2432232314}")
        };
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        for secret in [
            SECRET,
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            &format!("{SECRET}\n"),
        ] {
            assert_eq!(sign(secret), expected);
        }
    }

    #[test]
    fn every_key_signs_the_same_content_in_its_order() {
        let other = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
        let (old, new) = (key(SECRET).unwrap(), key(other).unwrap());
        let one = |key: &SigningKey| signature(std::slice::from_ref(key), "a", 1, b"{}");
        let both = signature(&[new.clone(), old.clone()], "a", 1, b"{}");
        assert_eq!(both, format!("{} {}", one(&new), one(&old)));
    }

    #[test]
    fn what_is_no_key_is_refused_without_an_echo() {
        let short = BASE64.encode([7; 23]);
        let long = BASE64.encode([7; 65]);
        for bad in [
            "",
            "whsec_",
            "hunter2 hunter2 hunter2 hunter2 hunter2",
            "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            &short,
            &long,
        ] {
            let refused = key(bad).unwrap_err();
            assert!(refused.sensitive, "{bad}");
            assert!(!format!("{refused:?}").contains("hunter2"), "{bad}");
        }
        for length in [24, 32, 64] {
            key(&BASE64.encode(vec![7; length])).unwrap();
        }
        // Without its padding, as some tools print it.
        key(BASE64.encode([7; 25]).trim_end_matches('=')).unwrap();
        assert!(!format!("{:?}", key(SECRET)).contains("MfKQ"));
    }
}
