//! `users.lookupByEmail` and `conversations.open`.

use serde_json::{Value, json};

use crate::slack::Slack;
use crate::slack::arguments::{Arguments, Refusal, flag, set, string};
use crate::slack::workspace::{TEAM, is_id, marked};

impl Slack {
    pub(super) fn lookup_by_email(&self, arguments: &Arguments) -> Result<Value, Refusal> {
        let email = string(arguments, "email").unwrap_or_default().trim();
        let name = email.split_once('@').and_then(|(name, domain)| {
            (!name.is_empty() && !domain.is_empty() && !domain.contains('@')).then_some(name)
        });
        let is_known = |name: &&str| marked(name, &["users_not_found"]).is_none();
        let name = name
            .filter(is_known)
            .ok_or_else(|| Refusal::new("users_not_found"))?;
        Ok(json!({"ok": true, "user": {
            "id": self.workspace.person(email),
            "team_id": TEAM,
            "name": name,
            "deleted": false,
            "real_name": name,
            "tz": "Etc/UTC",
            "tz_label": "Coordinated Universal Time",
            "tz_offset": 0,
            "profile": {
                "real_name": name,
                "real_name_normalized": name,
                "display_name": name,
                "display_name_normalized": name,
                "email": email,
                "team": TEAM,
            },
            "is_admin": false,
            "is_owner": false,
            "is_bot": false,
            "is_app_user": false,
            "updated": 1_502_138_686,
        }}))
    }

    pub(super) fn open(&self, arguments: &Arguments) -> Result<Value, Refusal> {
        if let Some(channel) = string(arguments, "channel") {
            return if is_id(channel, "DG") {
                Ok(opened(channel, None, true))
            } else {
                Err(Refusal::new("channel_not_found"))
            };
        }
        let users = string(arguments, "users").unwrap_or_default();
        let mut users: Vec<_> = users
            .split(',')
            .map(str::trim)
            .filter(|id| !id.is_empty())
            .collect();
        users.sort_unstable();
        users.dedup();
        if users.is_empty() {
            return Err(Refusal::new("users_list_not_supplied"));
        }
        if users.len() > 8 {
            return Err(Refusal::new("too_many_users"));
        }
        if !users.iter().all(|user| is_id(user, "UW")) {
            return Err(Refusal::new("user_not_found"));
        }
        let mut refused = users.iter();
        if let Some(code) = refused.find_map(|user| self.workspace.refused_person(user)) {
            return Err(Refusal::new(code));
        }
        let id = self.workspace.direct_message(&users);
        let user = match users.as_slice() {
            [user] if flag(arguments, "return_im") => Some(*user),
            _ => None,
        };
        let is_open = !self.store.posts(&id).is_empty();
        Ok(opened(&id, user, is_open))
    }
}

/// The answer; the long form names the person.
fn opened(id: &str, user: Option<&str>, is_open: bool) -> Value {
    let mut answer = json!({"ok": true, "channel": {"id": id}});
    if is_open {
        set(&mut answer, "no_op", json!(true));
        set(&mut answer, "already_open", json!(true));
    }
    if let Some(user) = user {
        set(
            &mut answer,
            "channel",
            json!({
                "id": id,
                "created": 1_460_147_748,
                "is_im": true,
                "is_org_shared": false,
                "user": user,
                "last_read": "0000000000.000000",
                "latest": null,
                "unread_count": 0,
                "unread_count_display": 0,
                "is_open": true,
                "priority": 0,
            }),
        );
    }
    answer
}
