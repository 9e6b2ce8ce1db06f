//! Definitions in JSON that are refused: a name, the characters that are labelled, the text.

use crate::{against, refused};

fn definition(text: &str) -> Result<notify_config::Definitions, notify_config::Diagnostics> {
    crate::definition_in("nightly-etl.json", text)
}

/// A definition with this notification, indented as editors do.
fn with(notification: &str) -> String {
    format!(
        "{{\n\t\"workflow\": \"nightly-etl\",\n\t\"notifications\": [\n\t\t{notification}\n\t]\n}}\n"
    )
}

/// One notification for failures that says this beside its phases.
fn one(body: &str) -> String {
    with(&format!("{{\"phases\": [\"failed\"], {body}}}"))
}

refused! { json, definition =>
    a_phase_that_is_no_end "\"running\"" with("{\"phases\": [\"running\"], \"email\": [\"me@example.com\"]}");
    an_unknown_phase "\"faild\"" with("{\"phases\": \"faild\", \"email\": [\"me@example.com\"]}");
    a_phase_of_a_wrong_type "null" with("{\"phases\": [null, \"failed\"], \"email\": [\"me@example.com\"]}");
    an_empty_list_of_phases "[]" with("{\"phases\": [], \"email\": [\"me@example.com\"]}");
    no_phases "{\"email\": [\"me@example.com\"]}" with("{\"email\": [\"me@example.com\"]}");
    on_for_phases "\"on\"" with("{\"on\": \"failed\", \"email\": \"me@example.com\"}");
    an_empty_list_of_recipients "[]" one("\"email\": []");
    a_malformed_recipient_in_a_list "\"jane@localhost\"" one("\"email\": [\"me@example.com\", \"jane@localhost\"]");
    a_recipient_of_a_wrong_type "true" one("\"email\": [true]");
    an_unknown_kind "\"emial\"" one("\"emial\": \"me@example.com\"");
    an_unknown_key_in_a_notification "\"wehn\"" one("\"email\": \"me@example.com\", \"wehn\": \"changed\"");
    an_unknown_key_at_the_top "\"owner\"" "{\"owner\": 1, \"workflow\": \"a\", \"notifications\": []}\n";
    an_unknown_option "\"prioritty\"" one("\"ntfy\": {\"to\": \"#ops\", \"prioritty\": 3}");
    an_option_of_a_wrong_type "[3]" one("\"ntfy\": {\"to\": \"#ops\", \"priority\": [3]}");
    a_key_that_stands_twice "\"phases\"" one("\"email\": \"me@example.com\", \"phases\": [\"aborted\"]");
    two_kinds "\"ntfy\"" one("\"email\": \"me@example.com\", \"ntfy\": \"#ops\"");
    no_kind "{\"phases\": [\"failed\"], \"when\": \"changed\"}" one("\"when\": \"changed\"");
    an_unknown_condition "\"chnged\"" one("\"email\": \"me@example.com\", \"when\": {\"not\": \"chnged\"}");
    a_condition_of_a_wrong_number "-1" one("\"email\": \"me@example.com\", \"when\": {\"attempt\": -1}");
    an_unknown_choice "\"retry\"" one("\"email\": \"me@example.com\", \"if_unknown\": \"retry\"");
    a_malformed_account "\"\"" one("\"email\": {\"to\": \"me@example.com\", \"account\": \"\"}");
    a_template_with_an_unknown_field "durration" one("\"email\": {\"to\": \"me@example.com\", \"template\": \"{{ durration }}\"}");
    a_template_with_escapes "\"Oh\\n{{ durration }}\"" one("\"email\": {\"to\": \"me@example.com\", \"template\": \"Oh\\n{{ durration }}\"}");
    a_template_by_another_key "\"name\"" one("\"email\": {\"to\": \"me@example.com\", \"template\": {\"name\": \"a\"}}");
    a_bracket_that_is_not_closed "[" "{\"workflow\": \"a\", \"notifications\": [\n";
    a_bracket_that_is_closed_by_another "[" "{\"workflow\": \"a\", \"notifications\": [}\n";
    a_quote_that_is_not_closed "\"" "{\"workflow\": \"nightly}\n";
    a_comma_that_is_missing "\"" "{\"workflow\": \"a\"\n \"notifications\": []}\n";
    an_escape_that_is_none "\\q" "{\"workflow\": \"a\\q\", \"notifications\": []}\n";
    a_text "\"nightly-etl\"" "\"nightly-etl\"\n";
    wrong_types "3;{}" "{\"workflow\": 3, \"notifications\": {}}\n";
    no_workflow "{\"notifications\": []}" "{\"notifications\": []}\n";
    an_empty_name "\"\"" "{\"workflow\": \"\", \"notifications\": []}\n";
    a_list_that_is_none "{}" "{\"workflows\": {}}\n";
    a_mistake_in_the_second_of_a_list "\"faild\"" "{\"workflows\": [{\"workflow\": \"a\", \"notifications\": []},\n {\"workflow\": \"b\", \"notifications\": [{\"phases\": \"faild\", \"email\": \"a@example.com\"}]}]}\n";
    a_variable_that_is_not_set "${OWNER}" one("\"email\": [\"${OWNER}@example.com\"]");
    nothing "" "";
    a_comment "/" "{\n  // who is told\n  \"workflow\": \"a\", \"notifications\": []\n}\n";
    a_comment_of_yaml "#" "{\n  \"workflow\": \"a\", # nightly\n  \"notifications\": []\n}\n";
    single_quotes "'" "{'workflow': 'a', 'notifications': []}\n";
    a_key_without_quotes "workflow" "{workflow: \"a\", \"notifications\": []}\n";
    a_value_without_quotes "nightly" "{\"workflow\": nightly, \"notifications\": []}\n";
    a_comma_before_the_end "," "{\"workflow\": \"a\", \"notifications\": [],\n}\n";
    a_comma_before_the_end_of_a_list "," one("\"email\": [\"me@example.com\",]");
    an_anchor "&" one("\"email\": &a [\"me@example.com\"]");
    a_colon_that_is_missing "\"" "{\"workflow\" \"a\"}\n";
    a_bracket_too_many "}" "{\"workflow\": \"a\", \"notifications\": []}}\n";
    two_definitions_in_a_row "{" "{\"workflow\": \"a\", \"notifications\": []}\n{\"workflow\": \"b\", \"notifications\": []}\n";
    half_a_letter "\\ud83d" "{\"workflow\": \"a\\ud83d!\", \"notifications\": []}\n";
    a_tab_in_a_text "\t" "{\"workflow\": \"a\tb\", \"notifications\": []}\n";
    a_number_that_is_none "01" one("\"ntfy\": {\"to\": \"#ops\", \"priority\": 01}");
    yaml "workflow" "workflow: nightly-etl\n";
    no_name_for_the_list "[{\"workflow\": \"a\", \"notifications\": []}]" "[{\"workflow\": \"a\", \"notifications\": []}]\n";
    an_empty_recipient "null" one("\"email\": [null]");
    a_schema_that_is_none "3" "{\"$schema\": 3, \"workflow\": \"a\", \"notifications\": []}\n";
    a_secret_address "**********************************" one("\"ntfy\": \"https://push.example.com/hunter2\"");
}

refused! { json_and_accounts, |text: &str| against(text, crate::SEVERAL) =>
    an_unknown_account "\"prd\"" one("\"ntfy\": {\"to\": \"#ops\", \"account\": \"prd\"}");
    several_accounts_and_none_the_default "\"ntfy\"" one("\"ntfy\": \"#ops\"");
    a_kind_without_an_account "\"email\"" one("\"email\": \"me@example.com\"");
    nobody_where_the_account_names_nobody_either "{\"account\": \"prod\"}" one("\"ntfy\": {\"account\": \"prod\"}");
    a_recipient_out_of_reach "\"#opps\"" one("\"ntfy\": {\"to\": [\"#opps\"], \"account\": \"prod\"}");
    an_unknown_template "\"x\"" one("\"ntfy\": {\"to\": \"#ops\", \"account\": \"prod\", \"template\": {\"use\": \"x\"}}");
}
