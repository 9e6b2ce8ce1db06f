//! What templates say.

use notify_core::content::{Block, Field, Inline, Mention, Style};

use crate::{bare, event, parse, past, render};

/// Renders with the full event and compares the text of all blocks, one line for each.
#[track_caller]
fn check(source: &str, expected: &str) {
    let rendered = render(source, &event("disk full"));
    assert_eq!(text(&rendered.blocks), expected, "{source}");
}

fn text(blocks: &[Block]) -> String {
    let line = |line: &[Inline]| line.iter().map(Inline::text).collect::<String>();
    let blocks = blocks.iter().map(|block| match block {
        Block::Text(inlines) | Block::Heading(inlines) => line(inlines),
        Block::Items { items, .. } => items
            .iter()
            .map(|item| line(item))
            .collect::<Vec<_>>()
            .join("\n"),
        Block::Code(code) => code.clone(),
        other => panic!("{other:?}"),
    });
    blocks.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_fact_has_its_words() {
    let table = [
        ("{{ workflow }} {{ phase_words }}", "nightly-etl failed"),
        ("{{ version }}|{{ phase }}", "|failed"),
        ("{{ execution.id }}", "analytics/production/run-17#2"),
        (
            "{{ execution.project }}.{{ execution['name'] }}",
            "analytics.run-17",
        ),
        ("{{ started_at }}", "2001-09-09 01:46:40 UTC"),
        (
            "{{ started_at|date }} at {{ ended_at|time }}",
            "2001-09-09 at 01:48:45 UTC",
        ),
        ("{{ duration }} = {{ duration|seconds }}", "2m 5s = 125"),
        (
            "{{ failure.message }} ({{ failure.code }}, {{ failure.kind }})",
            "disk full (exit 3, user)",
        ),
        (
            "{{ labels.team }} {{ labels['team'] }} {{ labels }}",
            "data data team=data",
        ),
        (
            "{{ outputs.rows }} {{ outputs.files }}",
            "1234 [\"a.csv\",\"b.csv\"]",
        ),
        (
            "{{ outputs.files[0] }} {{ outputs.files[-1] }} {{ outputs.files.1 }}",
            "a.csv b.csv b.csv",
        ),
        (
            "{{ tasks[1].name }} {{ (tasks|last).phase_words }}",
            "clean timed out",
        ),
        (
            "{{ previous.phase }} {{ streak }} {{ changed }} {{ recovered }}",
            "succeeded 3 true false",
        ),
        ("{{ outage }}", "18m 45s"),
    ];
    for (source, expected) in table {
        check(source, expected);
    }
}

#[test]
fn expressions_mean_what_they_mean_in_jinja() {
    let table = [
        (
            "{{ 1 + 2 * 3 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 1 / 2 }}",
            "7 3 -4 2 0.5",
        ),
        ("{{ 'a' ~ 1 ~ 'b' }}", "a1b"),
        ("{{ 'yes' if streak > 2 else 'no' }}", "yes"),
        ("{{ 'x' if streak > 5 }}|", "|"),
        (
            "{{ 'a' in 'cat' }} {{ 'x' not in ['a', 'b'] }} {{ 'team' in labels }}",
            "true true true",
        ),
        ("{{ 1 < streak <= 3 }}", "true"),
        ("{{ phase == 'failed' and not recovered }}", "true"),
        (
            "{{ version or 'none' }} {{ version|default('none') }}",
            "none none",
        ),
        (
            "{{ workflow|upper }} {{ 'some words'|title }} {{ 'aB'|capitalize }}",
            "NIGHTLY-ETL Some Words Ab",
        ),
        ("{{ ' x '|trim }}{{ 'a-b'|replace('-', '+') }}", "xa+b"),
        (
            "{{ 'abcdef'|truncate(4) }} {{ 'abc'|truncate(3) }} {{ 'abc'|truncate(0) }}",
            "abc… abc …",
        ),
        (
            "{{ 'abcdef'[1:3] }} {{ 'abcdef'[-2:] }} {{ outputs.files[1:] }}",
            "bc ef b.csv",
        ),
        (
            "{{ tasks|length }} {{ 'é'|length }} {{ [1, 2]|join('-') }}",
            "2 1 1-2",
        ),
        (
            "{{ 2.5|round }} {{ 3.14159|round(2) }} {{ '12'|int + 1 }} {{ '1.5'|float }}",
            "3 3.14 13 1.5",
        ),
        (
            "{{ outputs.nothing|default('?') }} {{ outputs.rows|default('?') }}",
            "? 1234",
        ),
        (
            "{{ labels.team is defined }} {{ labels.who is defined }} {{ version is none }}",
            "true false true",
        ),
        (
            "{{ streak is odd }} {{ 'abc' is startingwith('a') }} {{ 3 is ge 3 }}",
            "true true true",
        ),
        ("{% set a = streak %}{% set a = a + 1 %}{{ a }}", "4"),
        ("{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}", "3"),
        (
            "{% if version %}{% set v = version %}{% endif %}{{ v }}|",
            "|",
        ),
        (
            "{% if streak %}{% set phase = 'x' %}{% endif %}{{ phase }}",
            "x",
        ),
        (
            "{% if not streak %}{% set phase = 'x' %}{% endif %}{{ phase }}",
            "failed",
        ),
        (
            "{% for t in tasks %}{{ loop.index }}{{ t.name }}{{ '' if loop.last else ',' }}{% endfor %}",
            "1load,2clean",
        ),
        (
            "{% for t in tasks if t.phase == 'timed_out' %}{{ t.name }}/{{ loop.length }}{% endfor %}",
            "clean/1",
        ),
        (
            "{% for k, v in labels|items %}{{ k }}:{{ v }}{% else %}none{% endfor %}",
            "team:data",
        ),
        (
            "{% for k in outputs %}{{ k }} {% endfor %}.",
            "files rows value .",
        ),
        (
            "{% for f in outputs.none %}{{ f }}{% else %}no files{% endfor %}",
            "no files",
        ),
        (
            "{% for a in [1, 2] %}{% for b in [3, 4] %}{{ a * b }} {% endfor %}{% endfor %}.",
            "3 4 6 8 .",
        ),
        (
            "{% raw %}{{ workflow }}{% endraw %}{# not shown #}",
            "{{ workflow }}",
        ),
    ];
    for (source, expected) in table {
        check(source, expected);
    }
}

#[test]
fn what_is_known_but_absent_prints_nothing_and_a_missing_key_is_a_marked_gap() {
    let rendered = render(
        "{{ failure.message }}{{ version }}{{ duration }}{{ outage }}.",
        &bare(),
    );
    assert_eq!(text(&rendered.blocks), ".");
    assert!(rendered.notes.is_empty());

    let source = "{{ labels.owner }} {{ outputs.a.b }} {{ outputs['x y'] }} {{ tasks[7] .name }}";
    let rendered = render(source, &bare());
    assert_eq!(
        text(&rendered.blocks),
        "[no labels.owner] [no outputs.a.b] [no outputs.x y] [no item 7]"
    );
    assert_eq!(rendered.notes.len(), 4);
    assert_eq!(rendered.notes[0], "`labels.owner` is not there");
}

#[test]
fn what_cannot_be_computed_is_a_gap_and_never_an_error() {
    check("{{ outputs.value + 1 }}", "[no number for `+`]");
    check(
        "{{ 1 % 0 }} {{ 1 // 0 }}",
        "[no result for `%`] [no result for `//`]",
    );
    check(
        "{{ outputs.value|round }}",
        "[no value: it is not a number]",
    );
    check(
        "{{ outputs.rows.x }} {{ outputs.rows[0] }}",
        "[no outputs.rows.x] [no such item]",
    );
}

#[test]
fn markdown_becomes_the_content_tree() {
    let plain = |text: &str| Inline::plain(text);
    let styled = |text: &str, set: fn(&mut Style)| {
        let mut style = Style::default();
        set(&mut style);
        let text = text.to_owned();
        Inline::Text { text, style }
    };
    let source = "\
# {{ workflow }} **{{ phase_words }}**

It took *{{ duration }}*, ~~not~~ `{{ streak }}`
and ended.

- one
- two {{ labels.team }}
  1. inner

```text
{{ failure.message }}
```

Team
: {{ labels.team }}

Version
: {{ version }}

> said [{{ workflow }}]({{ url }})
";
    let url = "https://example.com/run/17".to_owned();
    let mut quoted = Style::default();
    quoted.emphasis = true;
    let expected = vec![
        Block::Heading(vec![
            plain("nightly-etl "),
            styled("failed", |style| style.strong = true),
        ]),
        Block::Text(vec![
            plain("It took "),
            styled("2m 5s", |style| style.emphasis = true),
            plain(", "),
            styled("not", |style| style.strike = true),
            plain(" "),
            styled("3", |style| style.code = true),
            plain("\nand ended."),
        ]),
        Block::Items {
            ordered: false,
            items: vec![
                vec![plain("one")],
                vec![plain("two data")],
                vec![plain("– inner")],
            ],
        },
        Block::Code("disk full".to_owned()),
        Block::Fields(vec![Field {
            label: "Team".to_owned(),
            value: "data".to_owned(),
        }]),
        Block::Text(vec![
            styled("said ", |style| style.emphasis = true),
            Inline::Link {
                text: "nightly-etl".to_owned(),
                url,
                style: quoted,
            },
        ]),
    ];
    assert_eq!(render(source, &event("disk full")).blocks, expected);
}

#[test]
fn lines_with_only_a_tag_leave_no_trace() {
    let source = "Tasks:\n{% for task in tasks %}\n- {{ task.name }}\n{% endfor %}\n{% if url %}\n\nEnd\n{% endif %}\n";
    let rendered = render(source, &event(""));
    let plain = |text: &str| vec![Inline::plain(text)];
    let items = vec![plain("load"), plain("clean")];
    let expected = vec![
        Block::Text(plain("Tasks:")),
        Block::Items {
            ordered: false,
            items,
        },
        Block::Text(plain("End")),
    ];
    assert_eq!(rendered.blocks, expected);
}

#[test]
fn a_mention_is_what_the_author_wrote_as_one() {
    let source = r#"{{ mention("@here") }} {{ mention("channel") }} {{ mention("@jane") }} {{ mention_group("@ops") }} @here {{ failure.message }}"#;
    let rendered = render(source, &event("@channel <!channel>"));
    let [Block::Text(line)] = rendered.blocks.as_slice() else {
        panic!("{rendered:?}");
    };
    let mentions: Vec<_> = line
        .iter()
        .filter(|inline| matches!(inline, Inline::Mention(_)))
        .collect();
    assert_eq!(
        mentions,
        [
            &Inline::Mention(Mention::Here),
            &Inline::Mention(Mention::Channel),
            &Inline::Mention(Mention::User("jane".to_owned())),
            &Inline::Mention(Mention::Group("ops".to_owned())),
        ]
    );
    check(
        "`{{ mention('@here') }}` [{{ mention('@jane') }}](https://h/)",
        "@here @jane",
    );
}

#[test]
fn a_link_leads_only_where_the_author_allows() {
    let links = |source: &str, value: &str| {
        let rendered = render(source, &event(value));
        let shown = text(&rendered.blocks);
        let urls = rendered.blocks.iter().flat_map(|block| match block {
            Block::Text(line) => line.clone(),
            _ => Vec::new(),
        });
        let urls = urls.filter_map(|inline| match inline {
            Inline::Link { url, .. } => Some(url),
            _ => None,
        });
        (shown, urls.collect::<Vec<_>>())
    };
    let whole = "[run]({{ failure.message }})";
    let path = "[run](https://example.com/{{ failure.message }}/x)";
    let table: [(&str, &str, &str, &[&str]); 9] = [
        (
            whole,
            "https://example.com/1",
            "run",
            &["https://example.com/1"],
        ),
        (
            whole,
            "javascript:alert(1)",
            "run (javascript:alert(1))",
            &[],
        ),
        (whole, "", "run", &[]),
        (
            whole,
            "https://example.com/\n<!channel>",
            "run (https://example.com/\n<!channel>)",
            &[],
        ),
        (
            path,
            "a b/../c",
            "run",
            &["https://example.com/a%20b%2F..%2Fc/x"],
        ),
        (path, "..", "run (https://example.com/../x)", &[]),
        (
            "<https://example.com/a>",
            "",
            "https://example.com/a",
            &["https://example.com/a"],
        ),
        (
            "<jane@example.com>",
            "",
            "jane@example.com",
            &["mailto:jane@example.com"],
        ),
        (
            "[{{ failure.code|replace('exit 3', '') }}]({{ url }})",
            "",
            "https://example.com/run/17",
            &["https://example.com/run/17"],
        ),
    ];
    for (source, value, shown, urls) in table {
        let (got, got_urls) = links(source, value);
        assert_eq!(
            (got.as_str(), got_urls.as_slice()),
            (
                shown,
                urls.iter()
                    .map(|url| (*url).to_owned())
                    .collect::<Vec<_>>()
                    .as_slice()
            ),
            "{source} {value}"
        );
    }
}

#[test]
fn markup_that_only_comes_together_at_run_time_is_text() {
    check(
        "{% if streak %}<{% else %} {% endif %}b>x{{ '!' }}",
        "<b>x!",
    );
    check(
        "{% if streak %}!{% else %} {% endif %}[alt](https://h/x.png)",
        "alt (https://h/x.png)",
    );
    // Whole lines that Markdown takes for the definition of a link are not lost.
    check(
        "{% if streak %}{% else %}x{% endif %}[{{ workflow }}]: {{ phase }}",
        "nightly-etl\nfailed",
    );
}

#[test]
fn one_line_is_for_subjects() {
    let template = parse("**{{ workflow }}**\n{{ phase_words }}\n\n- {{ failure.message }}\n");
    let event = event("a\r\nBcc: x");
    let rendered = template.render(&notify_template::Facts::new(&event, &past()));
    assert_eq!(rendered.one_line(), "nightly-etl failed a Bcc: x");
}
