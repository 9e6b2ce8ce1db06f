//! What stands under a notification's kind: recipients, account, template, options.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::Form;
use crate::load;
use crate::name::{AccountName, Kind};
use crate::notification::{Options, Recipient};
use crate::problem::{Code, Malformed, Path, Place, Problem, Problems, Segment, nearest};
use crate::registry::{COMMON, ProviderDescriptor, Registry};

/// What stands under the kind's key, for one kind.
pub(super) struct Body {
    pub(super) kind: Kind,
    pub(super) declared_under: Option<Kind>,
    pub(super) account: Option<AccountName>,
    pub(super) to_default: bool,
    pub(super) recipients: Vec<Recipient>,
    pub(super) places: Vec<usize>,
    pub(super) template: Option<Arc<str>>,
    pub(super) options: Arc<dyn Options>,
}

impl Registry {
    /// Loads what stands under the kind's key; gives what can be checked against an account, for
    /// the kind itself and for the one that some of its recipients belong to.
    pub(super) fn load_bodies(
        &self,
        descriptor: &ProviderDescriptor,
        value: &Value,
        form: Form,
    ) -> (Vec<Body>, Problems) {
        let root = Path::root();
        let mut problems = Problems::none();
        let mut rest = match value {
            Value::Object(map) => map.clone(),
            _ => Map::new(),
        };
        let long_form = value.is_object();
        let to = rest.remove("to");
        let to = if long_form { to.as_ref() } else { Some(value) };
        let named = to.map(|to| {
            let (named, found) = self.load_recipients(descriptor, to, form);
            problems.absorb::<()>(&root.then("to"), Err(found));
            named
        });
        let to_default = named.is_none();
        let Named { own, redirected } = named.unwrap_or_default();
        let is_all_redirected = own.recipients.is_empty() && !redirected.recipients.is_empty();
        if is_all_redirected {
            problems.extend(of_nobody(&rest, descriptor));
        }
        let account = rest.remove("account");
        let account =
            account.map(|account| problems.absorb(&root.then("account"), load::typed(&account)));
        let template = rest.remove("template").and_then(|template| {
            let loaded = load::typed::<String>(&template);
            problems.absorb(&root.then("template"), loaded)
        });
        let template: Option<Arc<str>> = template.map(Arc::from);
        let rest = Value::Object(rest);
        let options = (descriptor.load_options)(&rest).map_err(|found| {
            let found = load::complete(found, &rest, || descriptor.schema_of_options());
            also_known(found, &COMMON)
        });
        let options = problems.absorb(&root, options);
        // Without options of its own it can be checked all the same.
        let options = options.or_else(|| descriptor.load_no_options().ok());
        let mut bodies = Vec::new();
        match (account, options) {
            // Nobody knows which account is meant.
            (Some(None), _) | (_, None) => {}
            _ if is_all_redirected => {}
            (account, Some(options)) => bodies.push(Body {
                kind: Kind::from_static(descriptor.kind),
                declared_under: None,
                account: account.flatten(),
                to_default,
                recipients: own.recipients,
                places: own.places,
                template: template.clone(),
                options,
            }),
        }
        // What is said of the account and in options is about the kind that it is said under.
        let other = descriptor.redirect.and_then(|to| self.get(to.kind));
        if let Some(other) = other.filter(|_| !redirected.recipients.is_empty()) {
            let options = problems.absorb(&root, other.load_no_options());
            bodies.extend(options.map(|options| Body {
                kind: Kind::from_static(other.kind),
                declared_under: Some(Kind::from_static(descriptor.kind)),
                account: None,
                to_default: false,
                recipients: redirected.recipients,
                places: redirected.places,
                template,
                options,
            }));
        }
        (bodies, problems)
    }

    /// Loads recipients and, for each that is kept, its index in the declared list.
    fn load_recipients(
        &self,
        descriptor: &ProviderDescriptor,
        value: &Value,
        form: Form,
    ) -> (Named, Problems) {
        let root = Path::root();
        let items = load::items(value);
        let nobody = items.is_empty();
        let mut problems = Problems::none();
        let mut named = Named::default();
        for (index, (place, item)) in items.into_iter().enumerate() {
            let malformed = |why| Problem::malformed(Code::MALFORMED_RECIPIENT, place.clone(), why);
            let text = match item {
                Value::String(text) => text,
                Value::Null => {
                    let why = Malformed::new("the recipient is empty").help(
                        "a `#` after a space begins a comment in YAML: put the recipient in quotes",
                    );
                    problems.push(malformed(why));
                    continue;
                }
                other => {
                    let message = format!("a recipient is a text, not {}", load::name_of(other));
                    problems.push(malformed(Malformed::new(message)));
                    continue;
                }
            };
            let redirect = descriptor.redirect.filter(|_| form != Form::Stored);
            let (taker, list) = match redirect.filter(|redirect| (redirect.takes)(text)) {
                None => (Some(descriptor), &mut named.own),
                Some(redirect) => (self.get(redirect.kind), &mut named.redirected),
            };
            let Some(taker) = taker else {
                let kind = redirect.map_or("", |redirect| redirect.kind);
                problems.push(self.not_linked(place, descriptor.kind, kind));
                continue;
            };
            match (taker.load_recipient)(text) {
                Ok(recipient) => list.add(index, recipient),
                Err(why) => problems.push(malformed(why)),
            }
        }
        if nobody {
            let help = "say who is told, in a list; a `#` after a space begins a comment in YAML, so put channels in quotes";
            problems.push(no_recipient(root).help(help));
        }
        (named, problems)
    }

    /// Says that the kind which a recipient belongs to is not there.
    fn not_linked(&self, place: Path, declared: &str, kind: &str) -> Problem {
        let mut problem = self.unknown_kind(place, kind);
        problem.place = Place::Value;
        problem.message =
            format!("under `{declared}` this is a recipient of `{kind}`, an unknown kind");
        problem
    }
}

/// Recipients of a kind and those of the kind that it gives some to.
#[derive(Default)]
struct Named {
    own: List,
    redirected: List,
}

/// Recipients, each once, with the place where each was declared first.
#[derive(Default)]
struct List {
    recipients: Vec<Recipient>,
    places: Vec<usize>,
    seen: BTreeSet<Recipient>,
}

impl List {
    fn add(&mut self, place: usize, recipient: Recipient) {
        if self.seen.insert(recipient.clone()) {
            self.recipients.push(recipient);
            self.places.push(place);
        }
    }
}

/// Refuses what is said of recipients of the kind where all belong to another: it would change
/// nothing.
fn of_nobody(body: &Map<String, Value>, descriptor: &ProviderDescriptor) -> Vec<Problem> {
    let other = descriptor.redirect.map_or("", |redirect| redirect.kind);
    let own = descriptor.kind;
    let idle = body.keys().filter(|key| *key != "template");
    let refuse = |key: &String| {
        let message = format!("everybody here is a recipient of `{other}`, and this is of `{own}`");
        let place = Path::root().then(key.as_str());
        Problem::new(Code::WRONG_VALUE, place, message)
            .help(format!(
                "leave it out, or write the notification under `{other}`"
            ))
            .at_key()
    };
    idle.map(refuse).collect()
}

/// Adds the keys that every kind has to the help of an unknown one.
fn also_known(problems: Problems, known: &[&str]) -> Problems {
    let mut all = Problems::none();
    all.extend(problems.into_iter().map(|mut problem| {
        let misspelt = match (problem.code, problem.path.segments()) {
            (Code::UNKNOWN_KEY, [Segment::Key(key)]) => nearest(key, known.iter().copied()),
            _ => None,
        };
        if let Some(name) = misspelt {
            problem.help = Some(format!("did you mean `{name}`?"));
        }
        problem
    }));
    all
}

pub(super) fn no_recipient(path: Path) -> Problem {
    Problem::new(
        Code::NO_RECIPIENT,
        path,
        "the notification names no recipient",
    )
    .help("say who is told, in a list")
}
