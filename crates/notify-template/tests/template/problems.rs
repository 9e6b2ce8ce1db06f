//! What the checker finds, and where.

use notify_template::Template;

/// The place, the beginning of the message and a part of the help.
type Row = (&'static str, &'static str, &'static str, &'static str);

const TABLE: &[Row] = &[
    // unknown fields, wherever they stand
    (
        "{{ worklfow }}",
        "1:4",
        "unknown field `worklfow`",
        "did you mean `workflow`?",
    ),
    (
        "a\n\n  {{ phaze }}",
        "3:6",
        "unknown field `phaze`",
        "`phase`",
    ),
    (
        "é {{ zzzzzz }}",
        "1:6",
        "unknown field `zzzzzz`",
        "known here: `changed`",
    ),
    (
        "{{ execution.naem }}",
        "1:14",
        "`execution` has no `naem`",
        "did you mean `name`?",
    ),
    (
        "{{ execution['naem'] }}",
        "1:14",
        "`execution` has no `naem`",
        "did you mean `name`?",
    ),
    (
        "{{ failure.mesage|upper }}",
        "1:12",
        "`failure` has no `mesage`",
        "`message`",
    ),
    ("{{ previous.phase.x }}", "1:19", "a word has no `x`", ""),
    ("{{ workflow.name }}", "1:13", "text has no `name`", ""),
    (
        "{{ tasks.name }}",
        "1:10",
        "a list has no `name`",
        "go through them",
    ),
    (
        "{{ tasks[0].nmae }}",
        "1:13",
        "`tasks[0]` has no `nmae`",
        "`name`",
    ),
    ("{{ tasks['x'] }}", "1:10", "a list has no `x`", "[0]"),
    (
        "{{ execution[labels.x] }}",
        "1:14",
        "a fact is named by a literal",
        "`project`",
    ),
    (
        "{% for t in tasks %}{{ t.nmae }}{% endfor %}",
        "1:26",
        "`t` has no `nmae`",
        "`name`",
    ),
    (
        "{% for t in tasks %}{{ x.y }}{% endfor %}",
        "1:24",
        "unknown field `x`",
        "",
    ),
    (
        "{% for t in tasks %}{% endfor %}{{ t.name }}",
        "1:36",
        "unknown field `t`",
        "",
    ),
    (
        "{% for t in taks %}{% endfor %}",
        "1:13",
        "unknown field `taks`",
        "`tasks`",
    ),
    (
        "{% for t in tasks if t.fase %}{% endfor %}",
        "1:24",
        "`t` has no `fase`",
        "`phase`",
    ),
    (
        "{% set e = execution %}{{ e.attemt }}",
        "1:29",
        "`e` has no `attemt`",
        "`attempt`",
    ),
    (
        "{% with e = failure %}{{ e.cod }}{% endwith %}",
        "1:28",
        "`e` has no `cod`",
        "`code`",
    ),
    (
        "{% if false %}{{ wrkflow }}{% endif %}",
        "1:18",
        "unknown field `wrkflow`",
        "`workflow`",
    ),
    (
        "{% if a %}{% elif bb %}{% else %}{{ ccc }}{% endif %}",
        "1:7",
        "unknown field `a`",
        "",
    ),
    (
        "{% for t in [] %}{% else %}{{ nope }}{% endfor %}",
        "1:31",
        "unknown field `nope`",
        "",
    ),
    (
        "{{ 'x' if streek else phase }}",
        "1:11",
        "unknown field `streek`",
        "`streak`",
    ),
    (
        "{{ workflow ~ versoin }}",
        "1:15",
        "unknown field `versoin`",
        "`version`",
    ),
    (
        "{{ workflow|default(princpal) }}",
        "1:21",
        "unknown field `princpal`",
        "`principal`",
    ),
    ("{{ loop.index }}", "1:4", "unknown field `loop`", ""),
    (
        "{% for t in tasks %}{{ loop.indx }}{% endfor %}",
        "1:29",
        "`loop` has no `indx`",
        "`index`",
    ),
    (
        "{% for t in tasks %}{{ loop }}{% endfor %}",
        "1:24",
        "`loop` has no text",
        "`index`",
    ),
    // filters, tests, functions
    (
        "{{ workflow|uper }}",
        "1:13",
        "unknown filter `uper`",
        "`upper`",
    ),
    (
        "{{ workflow|safe }}",
        "1:13",
        "unknown filter `safe`",
        "no filter is needed",
    ),
    (
        "{{ outputs|tojson }}",
        "1:12",
        "unknown filter `tojson`",
        "no filter is needed",
    ),
    (
        "{{ workflow | e }}",
        "1:15",
        "unknown filter `e`",
        "no filter is needed",
    ),
    (
        "{{ workflow|round }}",
        "1:13",
        "`round` takes a number, and this is text",
        "",
    ),
    ("{{ streak|date }}", "1:11", "`date` takes an instant", ""),
    (
        "{{ workflow|upper(1) }}",
        "1:13",
        "`upper` takes no argument",
        "",
    ),
    (
        "{{ workflow|replace('a') }}",
        "1:13",
        "`replace` takes 2 arguments",
        "",
    ),
    (
        "{{ workflow|truncate(length=3) }}",
        "1:29",
        "the arguments of `truncate` have no names",
        "",
    ),
    (
        "{% if workflow is definde %}{% endif %}",
        "1:19",
        "unknown test `definde`",
        "`defined`",
    ),
    ("{{ range(9) }}", "1:4", "unknown function `range`", ""),
    (
        "{{ mentoin('@here') }}",
        "1:4",
        "unknown function `mentoin`",
        "`mention`",
    ),
    (
        "{% for k, v in labels.items() %}{% endfor %}",
        "1:23",
        "a value has no functions",
        "`|items`",
    ),
    (
        "{{ mention(workflow) }}",
        "1:4",
        "`mention` takes one literal text",
        "author's choice",
    ),
    (
        "{{ mention('@here')|upper }}",
        "1:4",
        "`mention` stands alone",
        "{% if … %}",
    ),
    (
        "{{ mention('<!x>') }}",
        "1:4",
        "`<!x>` names nobody",
        "@jane",
    ),
    // kinds
    (
        "{{ workflow + 1 }}",
        "1:4",
        "`+` takes numbers, and this is text",
        "`~`",
    ),
    (
        "{{ duration * 2 }}",
        "1:4",
        "`*` takes numbers, and this is a duration",
        "|seconds",
    ),
    (
        "{% if duration > 60 %}{% endif %}",
        "1:7",
        "a duration is compared with a number",
        "|seconds",
    ),
    (
        "{% if phase == 'faild' %}{% endif %}",
        "1:16",
        "`phase` is never `faild`",
        "`failed`",
    ),
    (
        "{% if phase in ['failed', 'x'] %}{% endif %}",
        "1:27",
        "`phase` is never `x`",
        "known here",
    ),
    ("{{ 2 ** 3 }}", "1:4", "`**` is not for messages", ""),
    ("{{ {'a': 1} }}", "1:4", "a template cannot make a map", ""),
    (
        "{{ execution }}",
        "1:4",
        "a group of facts has no text",
        "`project`",
    ),
    (
        "{{ tasks }}",
        "1:4",
        "a list of groups has no text",
        "for task in tasks",
    ),
    (
        "{% for t in workflow %}{% endfor %}",
        "1:13",
        "text cannot be gone through",
        "",
    ),
    ("{{ workflow[::2] }}", "1:15", "a slice has no step", ""),
    // forbidden statements
    (
        "x {% include 'a' %}",
        "1:6",
        "`include` is not for messages",
        "one text",
    ),
    (
        "{% import 'a' as b %}",
        "1:4",
        "`import` is not for messages",
        "",
    ),
    (
        "{% from 'a' import b %}",
        "1:4",
        "`from` is not for messages",
        "",
    ),
    (
        "{% extends 'a' %}",
        "1:4",
        "`extends` is not for messages",
        "",
    ),
    (
        "{% macro a() %}{% endmacro %}",
        "1:4",
        "`macro` is not for messages",
        "",
    ),
    (
        "{% block a %}{{ b }}{% endblock %}",
        "1:4",
        "`block` is not for messages",
        "",
    ),
    (
        "{% filter upper %}{% endfilter %}",
        "1:4",
        "`filter` is not for messages",
        "",
    ),
    (
        "{% autoescape true %}{% endautoescape %}",
        "1:4",
        "`autoescape` is not",
        "",
    ),
    (
        "{% do mention('x') %}",
        "1:4",
        "`do` is not for messages",
        "",
    ),
    (
        "{% set a %}x{% endset %}",
        "1:4",
        "`set` without `=` is not",
        "",
    ),
    (
        "{% for t in tasks recursive %}{% endfor %}",
        "1:4",
        "a loop cannot be `recursive`",
        "",
    ),
    // syntax
    ("{{ workflow", "1:4", "unexpected end of input", ""),
    ("{{ }}", "1:4", "unexpected", ""),
    (
        "{% if phase %}x",
        "1:4",
        "`{% if %}` is never closed",
        "{% endif %}",
    ),
    ("x{% endif %}", "1:5", "`endif` closes nothing", ""),
    (
        "{% if phase %}{% endfor %}",
        "1:18",
        "`endfor` while `if` is open",
        "{% endif %}",
    ),
    (
        "{% fro t in tasks %}",
        "1:4",
        "unknown statement `fro`",
        "`for`",
    ),
    ("{{ 'open }}", "1:12", "unexpected end of string", ""),
    // Markdown
    ("a <b>c</b>", "1:3", "raw HTML is not for messages", "\\<"),
    ("x\n\n<div>\n", "3:1", "raw HTML is not for messages", ""),
    (
        "{% if false %}<i>{% endif %}",
        "1:15",
        "raw HTML is not for messages",
        "",
    ),
    (
        "<a href=\"{{ url }}\">x</a>",
        "1:1",
        "raw HTML is not for messages",
        "",
    ),
    (
        "a ![logo](https://h/x.png)",
        "1:3",
        "an image is not for messages",
        "link to it",
    ),
    (
        "[x](javascript:alert)",
        "1:1",
        "a link leads to an http, https or mailto address",
        "",
    ),
    (
        "[x](https://{{ workflow }}/)",
        "1:1",
        "a value may be a whole address",
        "",
    ),
    (
        "[x](https://h{{ workflow }})",
        "1:1",
        "a value may be a whole address",
        "",
    ),
    (
        "[x](https://h/ '{{ workflow }}')",
        "1:17",
        "the value is shown nowhere",
        "",
    ),
    (
        "```{{ workflow }}\nx\n```",
        "1:4",
        "the value is shown nowhere",
        "",
    ),
    (
        "[{{ workflow }}]: {{ phase }}",
        "1:2",
        "the value is shown nowhere",
        "\\[",
    ),
    (
        "a \u{e000} b",
        "1:3",
        "the private-use character U+E000",
        "leave it out",
    ),
    (
        "{{ '\u{f0001}' }}",
        "1:5",
        "the private-use character U+F0001",
        "leave it out",
    ),
];

#[test]
fn every_mistake_has_its_place_and_its_remedy() {
    for (source, place, message, help) in TABLE {
        let Err(problems) = Template::parse(source) else {
            panic!("{source} is accepted");
        };
        let places: Vec<String> = problems
            .iter()
            .map(|problem| format!("{problem}"))
            .collect();
        let found = problems.iter().any(|problem| {
            format!("{}:{}", problem.line, problem.column) == *place
                && problem.message.starts_with(message)
                && problem.help.as_deref().unwrap_or("").contains(help)
        });
        assert!(
            found,
            "{source}\n  wants {place}: {message} ({help})\n  got   {places:#?}"
        );
    }
}

#[test]
fn all_problems_are_found_at_once_in_the_order_of_the_source() {
    let source = "\
{{ worklfow }}
{% for t in tasks %}{{ t.nam }} {{ ) }}{% endfor %}
{{ 1 + }} <b>
{{ phase|uper }}";
    let problems = Template::parse(source).unwrap_err();
    let places: Vec<_> = problems
        .iter()
        .map(|problem| (problem.line, problem.column))
        .collect();
    assert_eq!(
        places,
        [(1, 4), (2, 26), (2, 36), (3, 8), (3, 11), (4, 10)],
        "{problems:#?}"
    );
}

#[test]
fn a_span_covers_the_words_it_is_about() {
    let table = [
        ("{{ worklfow }}", "worklfow"),
        ("{{ execution.naem }}", "naem"),
        ("{{ workflow | uper }}", "uper"),
        ("{% include 'x' %}", "include"),
        ("é <b>", "<b>"),
    ];
    for (source, expected) in table {
        let problems = Template::parse(source).unwrap_err();
        assert_eq!(&source[problems[0].span.clone()], expected);
    }
}

#[test]
fn sources_without_bounds_are_refused_before_they_are_parsed() {
    let table = [
        ("x".repeat(70_000), "a template has at most"),
        (
            format!("{{{{ {} 1 }}}}", "-".repeat(30_000)),
            "one tag does too much",
        ),
        (
            format!("{{{{ {} 1 }}}}", "not ".repeat(10_000)),
            "one tag does too much",
        ),
        (
            format!("{{{{ {}1{} }}}}", "(".repeat(50), ")".repeat(50)),
            "one tag does too much",
        ),
        (
            format!("{{{{ workflow{} }}}}", "|upper".repeat(9_000)),
            "one tag does too much",
        ),
        (
            format!(
                "{}{}",
                "{% if streak %}".repeat(100),
                "{% endif %}".repeat(100)
            ),
            "more than 32 blocks",
        ),
        (
            format!(
                "{{% if streak %}}{}{{% endif %}}",
                "{% elif streak %}".repeat(1000)
            ),
            "more than 32 blocks",
        ),
        (
            format!(
                "{}{}",
                "{% set a %}".repeat(1000),
                "{% endset %}".repeat(1000)
            ),
            "more than 32 blocks",
        ),
    ];
    for (source, message) in table {
        let problems = Template::parse(&source).unwrap_err();
        assert!(
            problems[0].message.starts_with(message),
            "{:?}",
            problems[0]
        );
    }
}
