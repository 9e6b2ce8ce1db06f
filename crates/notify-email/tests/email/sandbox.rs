//! The provider against the sandbox, which takes commands that are said ahead.

use std::fs;

use notify_config::{Settings, Variables};
use notify_core::secret::SecretError;
use notify_core::{Registry, SecretRef, SecretSource, Secrets};
use notify_email::DESCRIPTOR;
use notify_sandbox::{Sandbox, Use};
use secrecy::SecretString;

use crate::reuse::Client;
use crate::short;

#[derive(Debug)]
struct Files;

impl SecretSource for Files {
    fn resolve(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        let SecretRef::File(path) = reference else {
            panic!("{reference}");
        };
        Ok(fs::read_to_string(path).unwrap().trim_end().into())
    }
}

#[tokio::test]
async fn the_sandbox_takes_mails_by_password_and_by_token() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path()).await.unwrap();
    let with_password = sandbox
        .accounts_toml(&[Use {
            kind: "email".to_owned(),
            account: "default".to_owned(),
            recipient: "jane@example.org".to_owned(),
        }])
        .unwrap();
    let with_token = with_password.replace("\npassword = ", "\ntoken = ");
    let mut taken = 0;
    for settings in [with_password, with_token] {
        let registry = Registry::of([DESCRIPTOR]).unwrap();
        let none = Variables::of([("", ""); 0]);
        let settings = Settings::parse_with(&registry, "notify.toml", &settings, &none).unwrap();
        let id = "email.default".parse().unwrap();
        let account = settings.accounts().get(&id).unwrap().clone();
        let secrets = Secrets::resolve(account.secrets(), &Files);
        let transport = account.connect(&secrets).unwrap();
        let client = Client { account, transport };
        let batch = [
            client.prepared(taken + 1, "jane@example.org"),
            client.prepared(taken + 2, "jane+550@example.org"),
            client.prepared(taken + 3, "用户@例子.广告"),
        ];
        let outcomes = client.deliver(&batch).await;
        let outcomes: Vec<String> = outcomes.iter().map(short).collect();
        assert_eq!(outcomes, ["delivered", "rejected destination", "delivered"]);
        taken += 3;
    }
    assert_eq!(sandbox.messages().len(), 4);
    sandbox.shutdown().await;
}
