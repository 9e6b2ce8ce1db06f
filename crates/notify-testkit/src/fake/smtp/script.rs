//! What the server does at every stage of a dialogue.

/// What the server does at one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SmtpAct {
    /// Says this: one line, or several with `\r\n` between them.
    Say(String),
    /// Says this and closes.
    Last(String),
    /// Closes without a word.
    Close,
    /// Resets the connection.
    Reset,
    /// Says nothing until the client hangs up.
    Silence,
    /// Says this byte by byte, each when it is let out.
    Drip(String),
    /// Says lines of a reply that never ends.
    Endless,
    /// Refuses with `554`, and repeats the commands that it was given.
    Echo,
}

impl From<&str> for SmtpAct {
    fn from(words: &str) -> Self {
        Self::Say(words.to_owned())
    }
}

/// What the server does at every stage; the [`Default`] one takes the mail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmtpScript {
    /// At the beginning.
    pub greeting: SmtpAct,
    /// After EHLO.
    pub ehlo: SmtpAct,
    /// After STARTTLS. What begins with `220` is followed by TLS.
    pub starttls: SmtpAct,
    /// After EHLO under TLS.
    pub ehlo_again: SmtpAct,
    /// After AUTH, and after what follows a `334`.
    pub auth: SmtpAct,
    /// After what follows a `334`, instead.
    pub auth_again: Option<SmtpAct>,
    /// After MAIL FROM.
    pub mail: SmtpAct,
    /// After MAIL FROM of a later mail of the connection, instead.
    pub mail_again: Option<SmtpAct>,
    /// After RCPT TO.
    pub rcpt: SmtpAct,
    /// After RCPT TO with one of these texts in it, instead.
    pub rcpt_for: Vec<(String, SmtpAct)>,
    /// After DATA.
    pub data: SmtpAct,
    /// After the mail and its final dot.
    pub message: SmtpAct,
    /// After a mail that holds this text, instead.
    pub message_for: Option<(String, SmtpAct)>,
    /// Whether there is TLS from the first byte.
    pub tls: bool,
}

impl Default for SmtpScript {
    fn default() -> Self {
        Self {
            greeting: "220 mail.test ESMTP".into(),
            ehlo: "250-mail.test\r\n250-AUTH PLAIN LOGIN\r\n250-SMTPUTF8\r\n250 8BITMIME".into(),
            starttls: "502 5.5.1 not here".into(),
            ehlo_again: "250-mail.test\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME".into(),
            auth: "235 2.7.0 welcome".into(),
            auth_again: None,
            mail: "250 2.1.0 ok".into(),
            mail_again: None,
            rcpt: "250 2.1.5 ok".into(),
            rcpt_for: Vec::new(),
            data: "354 go ahead".into(),
            message: "250 2.0.0 Ok: queued as 4XyZ".into(),
            message_for: None,
            tls: false,
        }
    }
}

macro_rules! stages {
    ($($(#[doc = $doc:literal])+ $stage:ident;)+) => {
        impl SmtpScript {
            $(
                $(#[doc = $doc])+
                #[must_use]
                pub fn $stage(mut self, act: impl Into<SmtpAct>) -> Self {
                    self.$stage = act.into();
                    self
                }
            )+
        }
    };
}

stages! {
    /// Sets what is done at the beginning.
    greeting;
    /// Sets what is done after EHLO.
    ehlo;
    /// Sets what is done after STARTTLS.
    starttls;
    /// Sets what is done after EHLO under TLS.
    ehlo_again;
    /// Sets what is done after AUTH.
    auth;
    /// Sets what is done after MAIL FROM.
    mail;
    /// Sets what is done after RCPT TO.
    rcpt;
    /// Sets what is done after DATA.
    data;
    /// Sets what is done after the mail.
    message;
}

impl SmtpScript {
    /// Sets what is done after a mail that holds this text.
    #[must_use]
    pub fn message_for(mut self, text: &str, act: impl Into<SmtpAct>) -> Self {
        self.message_for = Some((text.to_owned(), act.into()));
        self
    }

    /// Sets what is done after RCPT TO with this text in it.
    #[must_use]
    pub fn rcpt_for(mut self, text: &str, act: impl Into<SmtpAct>) -> Self {
        self.rcpt_for.push((text.to_owned(), act.into()));
        self
    }

    /// Sets what is done after MAIL FROM of every mail of a connection but the first.
    #[must_use]
    pub fn mail_again(mut self, act: impl Into<SmtpAct>) -> Self {
        self.mail_again = Some(act.into());
        self
    }

    /// Sets what is done after what follows a `334`.
    #[must_use]
    pub fn auth_again(mut self, act: impl Into<SmtpAct>) -> Self {
        self.auth_again = Some(act.into());
        self
    }

    /// Speaks TLS from the first byte.
    #[must_use]
    pub fn with_tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Offers STARTTLS and goes through with it.
    #[must_use]
    pub fn with_starttls(self) -> Self {
        self.ehlo("250-mail.test\r\n250-STARTTLS\r\n250 8BITMIME")
            .starttls("220 2.0.0 go ahead")
    }
}
