//! Definitions in YAML that are refused: a name, the characters that are labelled, the text.

use crate::{against, definition, refused, with};

/// One notification for failures that says this beside its phases.
fn one(body: &str) -> String {
    with(&format!("  - phases: failed\n    {body}\n"))
}

refused! { yaml, definition =>
    a_phase_that_is_no_end "running" with("  - phases: [running, failed]\n    email: me@example.com\n");
    an_unknown_phase "faild" with("  - phases: faild\n    email: me@example.com\n");
    a_phase_of_a_wrong_type "[failed]" with("  - phases: [aborted, [failed]]\n    email: me@example.com\n");
    an_empty_list_of_phases "[]" with("  - phases: []\n    email: me@example.com\n");
    no_phases "email: me@example.com" with("  - email: me@example.com\n    when: changed\n");
    on_for_phases "on" with("  - on: failed\n    email: me@example.com\n");
    an_empty_list_of_recipients "[]" one("email: []");
    a_malformed_recipient_in_a_list "jane@localhost" one("email: [me@example.com, jane@localhost]");
    a_malformed_recipient_in_decomposed_letters "jose\u{301}" one("email: [jose\u{301}, \"e\u{301}@example.com\"]");
    a_recipient_of_a_wrong_type "3" one("email: [me@example.com, 3]");
    a_recipient_with_a_space "data alerts" one("ntfy:\n      - \"#ops\"\n      - data alerts");
    a_channel_that_became_a_comment "#data-alerts" one("ntfy: #data-alerts");
    a_channel_that_became_a_comment_in_a_list "#data-alerts" one("ntfy:\n      - #data-alerts\n      - \"#ops\"");
    a_channel_without_quotes_in_brackets "#" one("ntfy: [#data-alerts]");
    an_unknown_kind "emial" one("emial: me@example.com");
    an_unknown_key_in_a_notification "wehn" one("email: me@example.com\n    wehn: changed");
    an_unknown_key_at_the_top "owner" with("  - {phases: failed, email: me@example.com}\nowner: jane\n");
    an_unknown_option "prioritty" one("ntfy:\n      to: [\"#ops\"]\n      prioritty: 3");
    an_option_of_a_wrong_type "****" one("ntfy: {to: \"#ops\", priority: high}");
    a_key_that_stands_twice "phases" one("email: me@example.com\n    phases: aborted");
    two_kinds "ntfy" one("email: me@example.com\n    ntfy: \"#ops\"");
    no_kind "phases: failed" one("when: changed");
    an_unknown_condition "chnged" one("email: me@example.com\n    when: chnged");
    an_unknown_condition_with_a_value "strek" one("email: me@example.com\n    when: {strek: 3}");
    a_condition_of_a_wrong_number "0" one("email: me@example.com\n    when: {streak: 0}");
    a_condition_of_a_wrong_duration "soon" one("email: me@example.com\n    when: {any: [changed, {longer_than: soon}]}");
    an_unknown_choice "retry" one("email: me@example.com\n    if_unknown: retry");
    a_malformed_account "prod.eu" one("email: {to: me@example.com, account: prod.eu}");
    a_template_with_an_unknown_field "durration" one("email: {to: me@example.com, template: \"after {{ durration }}\"}");
    a_template_in_a_block "durration" one("email:\n      to: me@example.com\n      template: |\n        # Oh\n        after {{ durration }}");
    a_template_that_is_not_closed "if" one("email: {to: me@example.com, template: '{% if %}'}");
    a_template_of_a_wrong_type "3" one("email: {to: me@example.com, template: 3}");
    a_template_by_another_key "file" one("email: {to: me@example.com, template: {file: a.md}}");
    a_template_by_no_name "[a]" one("email: {to: me@example.com, template: {use: [a]}}");
    a_template_by_nothing "{}" one("email: {to: me@example.com, template: {}}");
    a_tab_that_indents "\t" "workflow: nightly-etl\nnotifications:\n\t- phases: failed\n";
    a_bracket_that_is_not_closed ":" with("  - phases: [failed, timed_out\n    email: me@example.com\n");
    a_bracket_that_is_closed_by_another "[" with("  - phases: [failed, timed_out}\n    email: me@example.com\n");
    a_bracket_that_closes_nothing "]" one("email: me@example.com\n]");
    a_quote_that_is_not_closed "\"" one("ntfy: \"#data-alerts");
    a_text_after_a_quote "s" one("ntfy: '#ops's");
    a_colon_where_none_can_be ":" "workflow: nightly: etl\n";
    a_reserved_letter "@" one("ntfy: @here");
    an_alias_to_nothing "*ops" one("ntfy: *ops");
    an_alias_within_itself "*ops" "workflow: &ops [*ops]\n";
    an_escape_that_is_none "\\o" one("ntfy: \"\\ops\"");
    a_control_character "?" one("ntfy: a\u{1}b");
    an_indentation_that_does_not_fit "e" "workflow: nightly-etl\nnotifications:\n    - phases: failed\n   email: x\n";
    a_key_that_is_a_list "[" "[a, b]: nightly-etl\n";
    a_number_that_is_none ".inf" one("ntfy: {to: \"#ops\", priority: .inf}");
    a_merge_of_a_text "ops" "<<: ops\n";
    a_text "nightly-etl" "nightly-etl\n";
    a_list_of_definitions "- workflow: a" "- workflow: a\n  notifications: []\n";
    no_workflow "notifications: []" "notifications: []\n";
    no_notifications "workflow: nightly-etl" "workflow: nightly-etl\n";
    wrong_types "[nightly-etl];phases: failed" "workflow: [nightly-etl]\nnotifications:\n  phases: failed\n";
    an_empty_name "''" "workflow: ''\nnotifications: []\n";
    an_invisible_letter_in_a_name "nightly\u{200b}etl" "workflow: nightly\u{200b}etl\nnotifications: []\n";
    a_list_that_is_none "nightly-etl" "workflows: nightly-etl\n";
    an_empty_list_of_workflows "[]" "workflows: []\n";
    a_key_beside_the_list "workflow" "workflow: a\nworkflows:\n  - {workflow: b, notifications: []}\n";
    a_mistake_in_the_second_of_a_list "faild" "workflows:\n  - {workflow: a, notifications: []}\n  - {workflow: b, notifications: [{phases: faild, email: a@example.com}]}\n";
    a_mistake_in_the_second_document "faild" "workflow: a\nnotifications: []\n---\nworkflow: b\nnotifications: [{phases: faild, email: a@example.com}]\n";
    a_broken_second_document "[" "workflow: a\nnotifications: []\n---\nworkflow: [\n";
    a_variable_that_is_not_set "${OWNER}" one("email: [me@example.com, \"${OWNER}@example.com\"]");
    a_variable_without_a_name "${" one("ntfy: '#${{ team }}'");
    a_value_of_a_variable_that_does_not_fit "\"${NOBODY}\"" one("email: \"${NOBODY}\"");
    nothing_but_comments "" "# to be written\n";
    a_redirected_recipient_that_is_malformed "me@" one("ntfy: [\"#ops\", me@]");
    a_key_of_the_ledger "declared_under" one("email: me@example.com\n    declared_under: ntfy");
    a_secret_address "**********************************" one("ntfy: [\"https://push.example.com/hunter2\"]");
    a_template_without_quotes "{{" one("email:\n      to: me@example.com\n      template: {{ workflow }} broke");
    a_template_without_quotes_alone "{{" one("email: {to: me@example.com, template: {{ workflow }}}");
    a_key_that_is_indented_too_deep "email" with("  - phases: failed\n      email: me@example.com\n");
    a_space_that_is_another_letter "\u{a0}" "workflow:\u{a0}nightly-etl\nnotifications: []\n";
    a_colon_that_is_another_letter "\u{ff1a}" "workflow\u{ff1a}nightly-etl\nnotifications: []\n";
    an_apostrophe_in_a_quote_that_is_not_closed "\"" one("ntfy: \"don't");
    a_second_quote_that_is_not_closed "\"" with("  [{ntfy: \"#ops\", phases: \"");
    a_list_in_a_brace "-" "workflow: {\n  - a\n";
    a_notification_without_spaces "phases:failed" with("  - phases:failed\n");
    a_notification_of_one_word "failed" with("  - failed\n");
    two_conditions_in_one "{attempt: 2, streak: 3}" one("email: me@example.com\n    when: {attempt: 2, streak: 3}");
    a_duration_without_a_unit "90" one("email: me@example.com\n    when: {longer_than: 90}");
    keys_that_stand_twice "phases;workflow" with("  - phases: failed\n    email: me@example.com\n    phases: aborted\nworkflow: b\n");
    a_key_that_stands_twice_beside_other_problems "faild;wehn;email" with("  - phases: faild\n    email: me@example.com\n    wehn: changed\n    email: you@example.com\n");
    an_anchor_that_is_used_three_times "x;é" "x: &x [é]\nworkflow: w\nnotifications:\n  - {phases: failed, email: *x}\n  - {phases: aborted, email: *x}\n  - {phases: timed_out, email: *x}\n";
    a_key_with_backticks "\"to`ken`x\"" one("ntfy: {to: \"#ops\", \"to`ken`x\": 1}");
    a_configuration "s" "\n[accounts.email.default]\nsmtp = \"smtps://smtp.example.com\"\n";
}

refused! { yaml_and_accounts, |text: &str| against(text, crate::SEVERAL) =>
    an_unknown_account "prd" one("ntfy: {to: \"#ops\", account: prd}");
    an_account_that_is_far_from_all "telegram" one("ntfy: {to: \"#ops\", account: telegram}");
    several_accounts_and_none_the_default "ntfy" one("ntfy: [\"#ops\"]");
    a_kind_without_an_account "email" one("email: [me@example.com]");
    a_recipient_out_of_reach "\"#dta-alerts\"" one("ntfy: {account: prod, to: [\"#ops\", \"#dta-alerts\"]}");
    a_recipient_out_of_reach_that_stands_alone "\"#opps\"" one("ntfy: {account: prod, to: \"#opps\"}");
    an_unknown_template "faild" one("ntfy: {to: \"#ops\", account: prod, template: {use: faild}}");
    nobody_where_the_account_names_nobody_either "{account: prod}" one("ntfy: {account: prod}");
    nobody_beside_an_unknown_template "{account: prod, template: {use: faild}};faild" one("ntfy: {account: prod, template: {use: faild}}");
    a_redirected_recipient_without_an_account "me@example.com" one("ntfy: {account: prod, to: [\"#ops\", me@example.com]}");
    a_redirected_recipient_that_stands_alone "me@example.com" one("ntfy: me@example.com");
    a_workflow_twice_in_a_file "a" "workflows:\n  - {workflow: a, notifications: []}\n  - {workflow: a, notifications: []}\n";
}
