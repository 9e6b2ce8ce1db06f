//! Settings that are refused: a name, the characters that are labelled, the text.

use crate::{refused, settings, with_rules};

/// An account that is sound, and more keys of it.
fn account(more: &str) -> String {
    format!("[accounts.ntfy.prod]\ntoken = {{ env = \"T\" }}\n{more}\n")
}

/// A sound account and a section.
fn beside(section: &str) -> String {
    format!("[accounts.ntfy.prod]\ntoken = {{ env = \"T\" }}\n\n{section}\n")
}

refused! { toml, settings =>
    a_header_that_is_not_closed "" "[accounts.email.default\nsmtp = \"smtp://mail\"\n";
    a_value_without_quotes "*******" "[accounts.ntfy.prod]\ntoken = hunter2\n";
    a_quote_that_is_not_closed "" "[accounts.ntfy.prod]\ntoken = \"hunter2\n";
    a_key_without_a_value "" "[accounts.ntfy.prod]\ntoken\n";
    a_key_in_another_script "**" "[accounts.ntfy.prod]\ntokén = { env = \"A\" }\n";
    a_key_that_stands_twice "smtp" "[accounts.email.default]\nsmtp = \"smtp://a\"\nsmtp = \"smtp://b\"\n";
    a_table_that_stands_twice "prod" "[accounts.ntfy.prod]\ntoken = { env = \"A\" }\n[accounts.ntfy.prod]\nretries = 1\n";
    yaml "" "workflow: nightly-etl\n";
    an_unknown_section "acounts" "acounts = 1\n";
    a_definition "workflow" "workflow = \"nightly-etl\"\n";
    an_account_outside_of_the_accounts "ntfy" "[ntfy.default]\ntoken = { env = \"A\" }\n";
    one_rule_in_single_brackets "rules" "[rules]\nphases = \"failed\"\n";
    an_unknown_kind "ntfi" "[accounts.ntfi.prod]\ntoken = { env = \"NTFY_TOKEN\" }\n";
    an_account_without_a_name "ntfy" "[accounts.ntfy]\ntoken = \"hunter2\"\n";
    an_account_without_a_name_and_with_a_reference "ntfy" "[accounts.ntfy]\ntoken = { env = \"T\" }\nretries = 3\n";
    a_text_for_the_accounts_of_a_kind "ntfy" "[accounts]\nntfy = \"x\"\n";
    a_text_for_an_account "***" "[accounts.ntfy]\nprod = \"x\"\n";
    keys_that_stand_twice "token;first_wait" "[accounts.ntfy.prod]\ntoken = { env = \"A\" }\ntoken = { env = \"B\" }\n[engine]\nfirst_wait = \"1s\"\nfirst_wait = \"2s\"\n";
    a_key_that_stands_twice_beside_other_problems "in_fligth;first_wait" "[engine]\nin_fligth = 3\nfirst_wait = \"1s\"\nfirst_wait = \"2s\"\n";
    a_file_that_was_cut_off " " "[accounts.ntfy.prod]\nretries = ";
    a_number_of_the_engine_without_an_end "99999999999999999999" "[engine]\nin_flight = 99999999999999999999\n";
    a_longest_wait_out_of_range "\"1d\"" "[engine]\nlongest_wait = \"1d\"\n";
    a_rule_without_a_phase "[[rules]]" beside("[[rules]]\nntfy = \"#ops\"");
    a_dot_in_a_name "\"prod.eu\"" "[accounts.ntfy.\"prod.eu\"]\ntoken = { env = \"A\" }\n";
    a_key_that_is_missing "[accounts.ntfy.prod]" "[accounts.ntfy.prod]\nretries = 3\n";
    a_key_of_the_account_that_nothing_reads "retrys" account("retrys = 3");
    a_value_out_of_range "300" account("retries = 300");
    a_value_of_a_wrong_type "******" account("retries = \"many\"");
    an_item_of_a_wrong_type "3" account("topics = [\"é\", 3]");
    a_default_that_is_neither "*****" account("default = \"yes\"");
    an_enabled_that_is_neither "0" account("enabled = 0");
    two_defaults "true" "[accounts.ntfy.a]\ndefault = true\ntoken = { env = \"A\" }\n\n[accounts.ntfy.b]\ndefault = true\ntoken = { env = \"B\" }\n";
    a_secret "*********" "[accounts.ntfy.prod]\ntoken = \"hunter2\"\n";
    a_secret_of_digits "********" "[accounts.ntfy.prod]\ntoken = 12345678\n";
    a_secret_from_a_variable "***********" "[accounts.ntfy.prod]\ntoken = \"${HUNTER}\"\n";
    a_secret_beside_another_problem "*********;******" "[accounts.ntfy.prod]\ntoken = \"hunter2\"\nretries = \"many\"\n";
    a_secret_in_a_list "***********" "[accounts.ntfy.prod]\ntoken = [\"hunter2\"]\n";
    a_secret_for_the_name_of_a_variable "{ env = ************** }" "[accounts.ntfy.prod]\ntoken = { env = \"xoxb-hunter2\" }\n";
    a_secret_in_two_places "{ env = ***, file = *** }" "[accounts.ntfy.prod]\ntoken = { env = \"A\", file = \"b\" }\n";
    a_secret_in_no_place "{}" "[accounts.ntfy.prod]\ntoken = {}\n";
    a_secret_by_an_unknown_key "*********************" "[accounts.ntfy.prod]\ntoken = { value = \"hunter2\" }\n";
    a_secret_in_a_file_without_a_name "{ file = ** }" "[accounts.ntfy.prod]\ntoken = { file = \"\" }\n";
    a_command_for_a_shell "{ command = ************** }" "[accounts.ntfy.prod]\ntoken = { command = \"pass hunter2\" }\n";
    a_command_without_a_program "{ command = [] }" "[accounts.ntfy.prod]\ntoken = { command = [] }\n";
    a_command_without_an_end "{ command = [******], timeout = **** }" "[accounts.ntfy.prod]\ntoken = { command = [\"pass\"], timeout = \"1h\" }\n";
    a_time_limit_for_a_file "{ file = ***, timeout = **** }" "[accounts.ntfy.prod]\ntoken = { file = \"a\", timeout = \"5s\" }\n";
    an_outbox_that_is_no_table "*" "outbox = 1\n";
    an_unknown_key_of_the_outbox "path" "[outbox]\npath = \"x\"\n";
    an_outbox_of_a_wrong_type "*" "[outbox]\nurl = 3\n";
    an_outbox_in_postgres "********************************" "[outbox]\nurl = \"postgres://notify:hunter2@db/n\"\n";
    an_outbox_of_no_kind "***********" "[outbox]\nurl = \"redis:foo\"\n";
    an_outbox_without_a_kind "***********" "[outbox]\nurl = \"notify.db\"\n";
    an_outbox_without_a_file "*********" "[outbox]\nurl = \"sqlite:\"\n";
    an_outbox_in_memory_with_a_name "**********" "[outbox]\nurl = \"memory:a\"\n";
    an_engine_that_is_no_table "*" "engine = 1\n";
    an_unknown_key_of_the_engine "in_fligth" "[engine]\nin_fligth = 3\n";
    a_number_of_the_engine_out_of_range "0" "[engine]\nin_flight = 0\n";
    a_number_of_the_engine_as_a_text "\"20\"" "[engine]\ncollapse_after = \"20\"\n";
    a_duration_without_a_unit "30" "[engine]\nfirst_wait = 30\n";
    a_duration_out_of_range "\"1000h\"" "[engine]\nmax_age = \"1000h\"\n";
    a_duration_in_days "\"2d\"" "[engine]\nmax_age = \"2d\"\n";
    more_for_a_lane_than_in_all "8" "[engine]\nin_flight = 4\nin_flight_per_lane = 8\n";
    a_longest_wait_that_is_not_the_longest "\"2s\"" "[engine]\nfirst_wait = \"5s\"\nlongest_wait = \"2s\"\n";
    templates_that_are_no_table "*" "templates = 1\n";
    a_name_that_no_template_has "\"a b\"" "[templates]\n\"a b\" = \"x\"\n";
    a_template_of_a_wrong_type "3" "[templates]\na = 3\n";
    a_template_by_an_unknown_key "path" "[templates]\na = { path = \"a.md\" }\n";
    a_template_in_a_file_that_is_not_there "\"no/such.md\"" "[templates]\na = { file = \"no/such.md\" }\n";
    a_template_with_an_unknown_field "durration" "[templates]\na = \"after {{ durration }}\"\n";
    a_template_over_several_lines "durration" "[templates]\na = \"\"\"\n# Oh\nafter {{ durration }}\n\"\"\"\n";
    a_variable_that_is_not_set "${OWNER}" account("topics = [\"${OWNER}\"]");
    a_rule_without_a_kind "[[rules]]" beside("[[rules]]\nphases = \"failed\"");
    a_rule_with_an_unknown_phase "\"faild\"" beside("[[rules]]\nphases = [\"faild\"]\nntfy = \"#ops\"");
    a_rule_with_a_phase_by_itself "\"faild\"" beside("[[rules]]\nphases = \"faild\"\nntfy = \"#ops\"");
    a_rule_with_an_unknown_key "wehn" beside("[[rules]]\nphases = \"failed\"\nntfy = \"#ops\"\nwehn = \"changed\"");
    a_rule_with_a_misspelt_match "mtach" beside("[[rules]]\nmtach = {project = \"prod\"}\nphases = \"failed\"\nntfy = \"#ops\"");
    a_rule_that_matches_by_an_unknown_key "projects" beside("[[rules]]\nmatch = { projects = \"prod\" }\nphases = \"failed\"\nntfy = \"#ops\"");
    a_rule_that_matches_by_a_list "[\"a\"]" beside("[[rules]]\nmatch = { workflow = [\"a\"] }\nphases = \"failed\"\nntfy = \"#ops\"");
    a_rule_that_matches_an_empty_pattern "\"\"" beside("[[rules]]\nmatch = { labels = { team = \"\" } }\nphases = \"failed\"\nntfy = \"#ops\"");
    a_rule_that_matches_by_nothing "{}" beside("[[rules]]\nmatch = {}\nphases = \"failed\"\nntfy = \"#ops\"");
    a_rule_that_matches_by_a_text "\"prod\"" beside("[[rules]]\nmatch = \"prod\"\nphases = \"failed\"\nntfy = \"#ops\"");
    a_rule_with_a_broken_template "durration" beside("[[rules]]\nphases = \"failed\"\nntfy = { to = \"#ops\", template = \"{{ durration }}\" }");
    a_rule_with_an_unknown_template "\"faild\"" beside("[templates]\nfailed = \"x\"\n[[rules]]\nphases = \"failed\"\nntfy = { to = \"#ops\", template = { use = \"faild\" } }");
    the_second_rule "\"#o ps\"" beside("[[rules]]\nphases = \"failed\"\nntfy = \"#ops\"\n[[rules]]\nphases = \"failed\"\nntfy = [\"#ops\", \"#o ps\"]");
    a_rule_that_is_no_table "3" "rules = [3]\n";
    unknown_keys_everywhere "acounts;path;email;retrys" "acounts = 1\n[outbox]\npath = \"x\"\n[email.default]\nsmtp = \"x\"\n[accounts.ntfy.prod]\ntoken = { env = \"T\" }\nretrys = 3\n";
}

refused! { toml_and_accounts, |text: &str| with_rules(text) =>
    a_rule_with_an_unknown_account "\"prd\"" beside("[[rules]]\nphases = \"failed\"\nntfy = { to = \"#ops\", account = \"prd\" }");
    a_rule_of_a_kind_without_an_account "email" beside("[[rules]]\nphases = \"failed\"\nemail = \"me@example.com\"");
    a_rule_that_names_nobody "{}" beside("[[rules]]\nphases = \"failed\"\nntfy = {}");
    a_rule_for_a_default_out_of_reach "ntfy" "[accounts.ntfy.prod]\ntoken = { env = \"T\" }\ntopic = \"${TEAM}\"\ntopics = [\"#ops\"]\n[[rules]]\nphases = \"failed\"\nntfy = {}\n";
    a_rule_for_a_redirected_recipient_without_an_account "\"me@example.com\"" beside("[[rules]]\nphases = \"failed\"\nntfy = [\"#ops\", \"me@example.com\"]");
    a_rule_for_a_recipient_out_of_reach "\"#opps\"" "[accounts.ntfy.prod]\ntoken = { env = \"T\" }\ntopics = [\"#ops\"]\n[[rules]]\nphases = \"failed\"\nntfy = [\"#ops\", \"#opps\"]\n";
}
