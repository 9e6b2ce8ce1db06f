//! The laws: for any value and any template.

use std::collections::HashSet;

use notify_core::content::{Block, Inline};
use notify_template::__private::fuzz;
use notify_template::{Facts, Rendered, Template};
use proptest::prelude::*;

use crate::{event, parse, past, render};

/// How many cases each law is tried on.
fn config() -> ProptestConfig {
    let set = std::env::vars().find(|(name, _)| name == "PROPTEST_CASES");
    let cases = set
        .and_then(|(_, cases)| cases.parse().ok())
        .unwrap_or(1000);
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Fragments that mean something to somebody.
const HOSTILE: &[&str] = &[
    "**",
    "__",
    "_",
    "*",
    "`",
    "```",
    "~~~",
    "# ",
    "- ",
    "1. ",
    "> ",
    "    ",
    "\n",
    "\n\n",
    "\r\n",
    "[x](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "[x]: https://evil.example",
    "<https://evil.example>",
    "<script>alert(1)</script>",
    "<b>",
    "</div>",
    "<!--",
    "-->",
    "&amp;",
    "&#983040;",
    "\\",
    "|",
    "---",
    "===",
    "\n: ",
    "~~",
    "<!channel>",
    "<!here>",
    "<@U123>",
    "<http://evil.example|safe>",
    "@here",
    "@channel",
    "{{ workflow }}",
    "{% if x %}",
    "{#",
    "}}",
    "\u{e000}",
    "\u{f0000}",
    "\u{f0001}",
    "\u{f0002}",
    "\u{10fffd}",
    "\u{0}",
    "\u{7}",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{85}",
    "\u{202e}",
    "\u{2066}",
    "\u{200b}",
    "\u{feff}",
    "\u{fffd}",
    "\u{ffff}",
    "\u{2028}",
    "é",
    "👨‍👩‍👧‍👦",
    "\t",
    " ",
    "  \n",
    "javascript:alert(1)",
    "https://evil.example",
];

fn hostile() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        4 => proptest::sample::select(HOSTILE).prop_map(str::to_owned),
        2 => any::<String>(),
        1 => "[a-z ]{0,12}",
        1 => (0_usize..3000).prop_map(|count| "x\n# *".repeat(count)),
    ];
    proptest::collection::vec(fragment, 0..8).prop_map(|parts| parts.concat())
}

/// Positions that a value can take; `@` is where it goes.
const POSITIONS: &[&str] = &[
    "@",
    "a @ b",
    "a@b",
    "**@**",
    "*@*",
    "__@__",
    "~~@~~",
    "`@`",
    "``@``",
    "# @",
    "@\n===",
    "@\n---",
    "- @",
    "1. @\n2. x",
    "- a\n  - @",
    "> @",
    "> - @",
    "```\n@\n```",
    "~~~text\n@\n~~~",
    "    @",
    "[@](https://example.com/)",
    "**[@](https://example.com/)**",
    "| a | @ |\n|---|---|\n| @@ | b |",
    "Team\n: @",
    "@\n: value",
    "(@)",
    "<@>",
    "&@;",
    "&#@;",
    "\\@",
    "!@",
    "@:",
    "[@]",
    "!(@)",
    "https://@",
    "{% if streak %}@{% endif %}",
    "{% for x in [1] %}@{% endfor %}",
    "- x\n{% if streak %}\n- @\n{% endif %}",
];

/// Ways to say the same value.
const SAYINGS: &[&str] = &[
    "{{ failure.message }}",
    "{{ principal }}",
    "{{ outputs.value }}",
    "{{ outputs['value'] }}",
    "{{ failure.message|default('x') }}",
    "{{ failure.message ~ '' }}",
    "{{ principal if streak else '' }}",
    "{{ [principal]|first }}",
    "{{ [principal]|join(', ') }}",
];

/// Every text of the tree, in order, and what in it can be followed or called.
#[derive(Debug, Default, PartialEq)]
struct Tree {
    text: String,
    links: Vec<String>,
    mentions: usize,
    shape: Vec<&'static str>,
}

fn tree(rendered: &Rendered) -> Tree {
    let mut tree = Tree::default();
    let line = |tree: &mut Tree, line: &[Inline]| {
        for inline in line {
            tree.text.push_str(&inline.text());
            match inline {
                Inline::Link { url, .. } if tree.links.last() != Some(url) => {
                    tree.links.push(url.clone());
                }
                Inline::Mention(_) => tree.mentions += 1,
                _ => {}
            }
        }
    };
    for block in &rendered.blocks {
        match block {
            Block::Text(inlines) => {
                tree.shape.push("text");
                line(&mut tree, inlines);
            }
            Block::Heading(inlines) => {
                tree.shape.push("heading");
                line(&mut tree, inlines);
            }
            Block::Items { items, .. } => {
                tree.shape.push("items");
                for item in items {
                    line(&mut tree, item);
                }
            }
            Block::Fields(fields) => {
                tree.shape.push("fields");
                for field in fields {
                    tree.text.push_str(&field.label);
                    tree.text.push_str(&field.value);
                }
            }
            Block::Code(code) => {
                tree.shape.push("code");
                tree.text.push_str(code);
            }
            other => panic!("{other:?}"),
        }
    }
    tree
}

proptest! {
    #![proptest_config(config())]

    /// The value's text comes out as that text and nothing else: the tree is the one of a harmless
    /// value, with the value in its place.
    #[test]
    fn a_value_is_text_wherever_it_stands(
        value in hostile(),
        position in proptest::sample::select(POSITIONS),
        saying in proptest::sample::select(SAYINGS),
    ) {
        // A value that is not there leaves no empty block behind, so it is never empty here.
        let value = format!("v{value}");
        let source = position.replace('@', saying);
        let placeholder = "HARMLESS";
        let template = parse(&source);
        let harmless = tree(&template.render(&Facts::new(&event(placeholder), &past())));
        let hostile = tree(&template.render(&Facts::new(&event(&value), &past())));
        let expected = harmless.text.replace(placeholder, &value);
        prop_assert_eq!(&hostile.text, &expected);
        prop_assert_eq!(&hostile.links, &harmless.links);
        prop_assert_eq!(hostile.mentions, 0);
        prop_assert_eq!(&hostile.shape, &harmless.shape);
    }

    /// A value in a link's destination never leads elsewhere than the author's host.
    #[test]
    fn a_value_in_an_address_never_chooses_where_it_leads(value in hostile()) {
        let sources = [
            "[x](https://example.com/{{ principal }})",
            "[x](https://example.com/?q={{ principal }}&a=b)",
            "[x](<https://example.com/#{{ principal }}>)",
            "[x]({{ principal }})",
        ];
        for (index, source) in sources.into_iter().enumerate() {
            let tree = tree(&render(source, &event(&value)));
            for link in tree.links {
                prop_assert!(!link.contains(|letter: char| letter.is_control() || letter.is_whitespace()));
                if index < 3 {
                    prop_assert!(link.starts_with("https://example.com/"), "{link}");
                    prop_assert!(!link.contains("/../"), "{link}");
                } else {
                    let known = ["https://", "http://", "mailto:"];
                    prop_assert!(known.iter().any(|scheme| link.to_lowercase().starts_with(scheme)));
                }
            }
        }
    }

    /// Rendering is total and bounded for every template that the checker accepts.
    #[test]
    fn rendering_is_total_and_bounded(source in template(), value in hostile()) {
        if let Ok(template) = Template::parse(&source) {
            let rendered = template.render(&Facts::new(&event(&value), &past()));
            prop_assert!(tree(&rendered).text.len() < 1 << 20);
        }
    }

    /// The checker is total, and every place it names is in the source.
    #[test]
    fn parsing_is_total_and_every_place_is_in_the_source(source in soup()) {
        if let Err(problems) = Template::parse(&source) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(source.get(problem.span.clone()).is_some(), "{problem:?}");
                prop_assert!(problem.line >= 1 && problem.column >= 1);
                prop_assert!(problem.line <= source.matches('\n').count() + 1);
            }
        }
    }

    #[test]
    fn fuzzing_finds_nothing(source in soup(), value in hostile()) {
        fuzz(&source, &value);
    }
}

/// Pieces of templates in any order: mostly wrong, and never fatal.
fn soup() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        " if ",
        " for ",
        " in ",
        " endif ",
        " endfor ",
        " else ",
        " elif ",
        " set ",
        " with ",
        " endwith ",
        " raw ",
        " endraw ",
        "workflow",
        "tasks",
        "labels",
        "outputs",
        ".",
        ".x",
        "[0]",
        "['team']",
        "[",
        "]",
        "(",
        ")",
        "|",
        "upper",
        "default",
        "join",
        "1",
        "-",
        "+",
        "*",
        "~",
        "==",
        "<",
        "is ",
        "not ",
        "defined",
        ",",
        "=",
        "'",
        "\"",
        "\\",
        "mention('@here')",
        "loop.index",
        "{{ workflow }}",
        "{% if streak %}",
        "{% endif %}",
        "{% for t in tasks %}",
        "{% endfor %}",
        "{{ t.name }}",
        "\u{e000}",
        "é",
        "{{-",
        "-}}",
        "{%-",
    ];
    let piece = prop_oneof![
        6 => proptest::sample::select(PIECES).prop_map(str::to_owned),
        2 => proptest::sample::select(HOSTILE).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    proptest::collection::vec(piece, 0..25).prop_map(|pieces| pieces.concat())
}

/// Templates that are well formed, from a small grammar.
fn template() -> impl Strategy<Value = String> {
    let atom = proptest::sample::select(
        &[
            "workflow",
            "phase",
            "failure.message",
            "streak",
            "duration",
            "labels.team",
            "outputs.x",
            "outputs.files",
            "outputs.value",
            "tasks|length",
            "1",
            "-3",
            "0.5",
            "'a'",
            "none",
            "version",
            "ended_at|date",
            "tasks[0].name",
            "labels",
            "outputs",
        ][..],
    )
    .prop_map(str::to_owned);
    let expr = atom.prop_recursive(3, 12, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        let operator = proptest::sample::select(
            &[
                "+", "-", "*", "/", "//", "%", "~", "==", "<", "in", "and", "or",
            ][..],
        );
        prop_oneof![
            (two.clone(), operator).prop_map(|((a, b), op)| format!("({a}) {op} ({b})")),
            (
                inner.clone(),
                proptest::sample::select(
                    &[
                        "upper",
                        "default('d')",
                        "length",
                        "first",
                        "join('-')",
                        "trim",
                        "round",
                        "int",
                        "replace('a', 'bb')",
                        "truncate(3)",
                        "last",
                        "items",
                        "string"
                    ][..],
                )
            )
                .prop_map(|(a, filter)| format!("({a})|{filter}")),
            two.clone()
                .prop_map(|(a, b)| format!("({a}) if ({b}) else none")),
            two.clone().prop_map(|(a, b)| format!("[{a}, {b}]")),
            two.prop_map(|(a, b)| format!("({a})[{b}]")),
            inner.clone().prop_map(|a| format!("({a})[1:2]")),
            inner.prop_map(|a| format!("({a}) is defined")),
        ]
    });
    let leaf = prop_oneof![
        proptest::sample::select(
            &[
                "text ", "**", "\n\n", "- ", "# ", "`", "> ", "```\n", "[", "]("
            ][..]
        )
        .prop_map(str::to_owned),
        expr.clone().prop_map(|expr| format!("{{{{ {expr} }}}}")),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        let body = proptest::collection::vec(inner, 0..6).prop_map(|parts| parts.concat());
        prop_oneof![
            body.clone(),
            (expr.clone(), body.clone(), body.clone()).prop_map(|(expr, a, b)| {
                format!("{{% if {expr} %}}{a}{{% else %}}{b}{{% endif %}}")
            }),
            (expr.clone(), body.clone()).prop_map(|(expr, body)| {
                format!("{{% for x in {expr} %}}{{{{ x }}}}{body}{{% endfor %}}")
            }),
            (expr.clone(), body)
                .prop_map(|(expr, body)| format!("{{% set v = {expr} %}}{{{{ v }}}}{body}")),
        ]
    })
}

#[test]
fn a_loop_bomb_ends_and_says_so() {
    let mut bomb = event("x");
    bomb.outputs.insert("many".to_owned(), vec![1; 5000].into());
    let source = "Begin\n\n{% for a in outputs.many %}{% for b in outputs.many %}{{ a }} {% endfor %}{% endfor %}";
    let rendered = render(source, &bomb);
    let tree = tree(&rendered);
    assert!(tree.text.starts_with("Begin"));
    assert!(
        tree.text.contains("… the rest was left out: "),
        "{}",
        tree.text.len()
    );
    assert!(tree.text.len() < 256 * 1024);
    assert_eq!(rendered.notes.len(), 2, "{:?}", rendered.notes);

    let rendered = render(
        "{% for a in outputs.many %}\n- {{ a }}\n{% endfor %}\nEnd",
        &bomb,
    );
    let Some(Block::Items { items, .. }) = rendered.blocks.first() else {
        panic!("{rendered:?}");
    };
    assert_eq!(items.len(), 1000);
    assert!(
        self::tree(&rendered)
            .text
            .ends_with("… more items were left outEnd")
    );
}

#[test]
fn fifty_megabytes_of_text_are_cut_to_what_can_be_read() {
    let text = format!(
        "first line\n{}last line",
        "noise and noise\n".repeat(3_276_800)
    );
    let huge = event(&text);
    for source in [
        "{{ outputs.value }}",
        "```\n{{ outputs.value }}\n```",
        "{{ outputs.value|lower|trim }}",
        "{{ outputs.value ~ outputs.value }}",
        "{{ outputs.value|replace('', 'x')|replace('n', outputs.value) }}",
        "{% for x in outputs.files %}{{ outputs.value }}{% endfor %}",
    ] {
        let text = tree(&render(source, &huge)).text;
        assert!(text.len() <= 2 * 64 * 1024, "{source}: {}", text.len());
        assert!(text.starts_with("first li"), "{source}: {:?}", &text[..20]);
    }
    let once = tree(&render("{{ outputs.value }}", &huge)).text;
    assert!(once.ends_with("last line") && once.contains(" bytes omitted … "));
    let failure = tree(&render("{{ failure.message }}", &huge)).text;
    assert!(failure.len() <= 64 * 1024 && failure.ends_with("last line"));
}

#[test]
fn values_cannot_be_multiplied_without_bound() {
    let doubling = "{% set a = a ~ a %}".repeat(30);
    let source = format!("{{% set a = 'xxxxxxxx' %}}{doubling}Done {{{{ a|length }}}}");
    let text = tree(&render(&source, &event("x"))).text;
    assert!(text.starts_with("Done 6"), "{text}");

    let nesting = "{% set l = [l, l] %}".repeat(60);
    let source = format!("{{% set l = [workflow] %}}{nesting}Done {{{{ l }}}}");
    assert!(tree(&render(&source, &event("x"))).text.len() < 128 * 1024);

    let many = "{{ failure.message }}".repeat(500);
    let rendered = render(&format!("Begin {many}"), &event(&"x".repeat(60_000)));
    let text = tree(&rendered).text;
    assert!(text.starts_with("Begin x") && text.len() < 600 * 1024);
    assert!(text.ends_with("… the rest was left out: the values are too large"));
}

#[test]
fn deep_markdown_and_deep_json_are_flat_work() {
    // As the author wrote it.
    for nested in [
        ">".repeat(20_000),
        "- ".repeat(10_000),
        "1. > ".repeat(5_000),
    ] {
        let source = format!("a\n{nested} {{{{ workflow }}}}");
        let problems = Template::parse(&source).unwrap_err();
        assert_eq!(
            problems[0].message,
            "more than 16 lists and quotes in one another"
        );
        assert_eq!((problems[0].line, problems[0].column), (2, 1));
    }
    for flat in ["*", "[", "![", "x`", "<a ", "[a](", "~~a", "a\n: "] {
        let source = format!("{}{{{{ workflow }}}}", flat.repeat(6_000));
        assert!(
            tree(&render(&source, &event("x")))
                .text
                .ends_with("nightly-etl"),
            "{flat}"
        );
    }
    // As loops put it together.
    let mut many = event("x");
    many.outputs.insert("many".to_owned(), vec![1; 1000].into());
    for piece in [">", "- ", "1. ", "[", "*", "x`", "![", "> - "] {
        let source =
            format!("{{% for a in outputs.many %}}{piece}{{% endfor %}}{{{{ workflow }}}}");
        assert!(
            tree(&render(&source, &many)).text.contains("nightly-etl"),
            "{piece}"
        );
    }
    let mut deep = serde_json::Value::from("x");
    for _ in 0..500 {
        deep = vec![deep].into();
    }
    let mut event = event("x");
    event.outputs.insert("deep".to_owned(), deep);
    assert!(
        tree(&render("{{ outputs.deep }}", &event))
            .text
            .contains('…')
    );
}

#[test]
fn text_that_was_not_utf8_comes_out_as_it_was_taken_in() {
    let value = String::from_utf8_lossy(b"caf\xe9 \xff\xfe row 4").into_owned();
    assert_eq!(
        tree(&render("{{ failure.message }}", &event(&value))).text,
        value
    );
}

/// Where a template has no Markdown, it says what minijinja itself says.
#[test]
fn the_language_is_the_one_of_minijinja() {
    // `N`, `L` and `M` are a number, a list and a name that nothing has.
    let table = [
        "{{ 1 + 2 * 3 - 4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }}",
        "{{ 'a' ~ 1 ~ 'b' }} {{ 'x' if N > 2 else 'y' }} {{ 'x' if N > 5 }}",
        "{% for a in L %}{{ loop.index }}{{ loop.revindex }}{{ a }}{% if not loop.last %},{% endif %}{% endfor %}",
        "{% for a in L if a != 2 %}{{ loop.length }}{{ a }}{% else %}none{% endfor %}",
        "{% for a in [] %}x{% else %}none{% endfor %}",
        "{% for a in L %}{% for b in L %}{{ loop.index0 }}{{ a * b }}{% endfor %}{{ loop.first }}{% endfor %}",
        "{% set a = 1 %}{% for x in L %}{% set a = x %}{{ a }}{% endfor %}{{ a }}",
        "{% set a = 1 %}{% if N %}{% set a = 2 %}{% endif %}{{ a }}",
        "{% with a = 1, b = N %}{{ a }}{{ b }}{% endwith %}",
        "{{ 'abc'|upper }} {{ 'some words'|title }} {{ 'aBC'|capitalize }} {{ ' x '|trim }}",
        "{{ L|length }} {{ L|first }} {{ L|last }} {{ L|join('-') }} {{ 'a-b'|replace('-', '+') }}",
        "{{ 'abcdef'[1:3] }} {{ 'abcdef'[-2:] }} {{ 'abcdef'[:2] }} {{ L[-1] }} {{ L[0] }}",
        "{{ 'a' and 'b' }} {{ '' or 'c' }} {{ 'd' and '' }}|",
        "{% if 1 < N <= 3 %}in{% endif %} {% if 'a' in 'cat' and 9 not in L %}yes{% endif %}",
        "{% if N is odd %}odd{% endif %} {% if M is defined %}m{% else %}no m{% endif %}",
        "{{ M|default('d') }} {{ M or 'e' }} {{ ''|default('f', true) }}",
        "{{ 'a' if N == 3 and not M }} {{ -N }} {{ 2.5 + 1 }} {{ [1, 'a']|join }} {{ 3 is ge 3 and N in L }}",
    ];
    let context = minijinja::context! { N => 3, L => [1, 2, 3] };
    let mut event = event("x");
    event.outputs.insert("l".to_owned(), vec![1, 2, 3].into());
    for source in table {
        let bare = minijinja::Environment::new()
            .render_str(source, context.clone())
            .unwrap();
        let names = [('N', "streak"), ('L', "outputs.l"), ('M', "outputs.m")];
        let ours = names.iter().fold(source.to_owned(), |text, (from, to)| {
            text.replace(*from, to)
        });
        let text = tree(&render(&ours, &event)).text;
        // minijinja writes its truth values as Python does.
        assert_eq!(
            text.trim(),
            bare.trim()
                .replace("True", "true")
                .replace("False", "false"),
            "{ours}"
        );
    }
}

#[test]
fn no_name_of_a_fact_is_used_twice() {
    let names: Vec<String> = notify_template::reference()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
}
