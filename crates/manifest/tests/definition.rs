//! Job definitions: arguments fill values and never add keys, whatever they hold.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use windlass_manifest::Base;
use windlass_manifest::formats::definition::{self, Arguments, Definition, Source, Template};

const TEMPLATE: &str = r#"
apiVersion: batch/v1
kind: Job
metadata:
  name: hello
  annotations:
    quoted: "{{ text }}"
    single: '{{ text }}'
    mixed: before {{ text }} after
    block: |
      {{ text }}
    # a comment with {{ text }}
spec:
  parallelism: {{ count }}
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: main
        image: busybox
        command: ["echo", {{ text }}, "{{ count }}"]
"#;

fn definition(text: &str) -> (Definition, Template) {
    let indented: String = text.lines().map(|line| format!("    {line}\n")).collect();
    let file = format!("- name: hello\n  spec: |\n{indented}");
    let mut all = definition::read("definitions.yaml", &file).unwrap();
    let Source::Inline(template) = all[0].source.clone() else { panic!("{all:?}") };
    (all.swap_remove(0), template)
}

fn arguments(pairs: &[(&str, Value)]) -> Arguments {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn rendered(text: &str, pairs: &[(&str, Value)]) -> Result<Value, String> {
    let (definition, template) = definition(text);
    render(&definition, &template, pairs)
}

fn render(definition: &Definition, template: &Template, pairs: &[(&str, Value)]) -> Result<Value, String> {
    match definition.render(template, &arguments(pairs)) {
        Ok(written) => match written.base {
            Base::Manifest(job) => Ok(job),
            Base::Request(_) => panic!("a template is a manifest"),
        },
        Err(errors) => Err(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
    }
}

/// A Job whose only annotation is this line.
fn annotated(line: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: x\n  annotations:\n    {line}\nspec:\n  template:\n    \
         spec: {{restartPolicy: Never, containers: [{{name: a, image: b}}]}}\n"
    )
}

fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        Value::Array(items) => items.iter().map(shape).collect(),
        _ => Value::Null,
    }
}

proptest! {
    #[test]
    fn no_argument_changes_more_than_values(text in "\\PC{0,40}|([-:#{}\\[\\]&*!|>'\"%@`,?\n \ta-c0-9]{0,40})", count in any::<i64>()) {
        let plain = rendered(TEMPLATE, &[("text", json!("plain")), ("count", json!(1))]).unwrap();
        let job = rendered(TEMPLATE, &[("text", json!(text)), ("count", json!(count))]).unwrap();
        prop_assert_eq!(shape(&job), shape(&plain));
        let marks = &job["metadata"]["annotations"];
        prop_assert_eq!(&marks["quoted"], &json!(text));
        prop_assert_eq!(&marks["single"], &json!(text));
        prop_assert_eq!(&marks["mixed"], &json!(format!("before {text} after")));
        prop_assert_eq!(&marks["block"], &json!(format!("{text}\n")));
        prop_assert_eq!(&job["spec"]["parallelism"], &json!(count));
        let command = &job["spec"]["template"]["spec"]["containers"][0]["command"];
        prop_assert_eq!(&command[2], &json!(count.to_string()));
        prop_assert!(!command[1].is_object() && !command[1].is_array());
    }

    #[test]
    fn no_filter_gives_an_argument_the_rights_of_the_template(
        filter in prop::sample::select(vec![
            "safe", "escape", "e", "tojson", "trim", "indent", "upper", "string", "safe | trim", "e | safe",
            "tojson | safe", "join('')", "list | join('x')", "replace('a', 'a')", "title", "lines | join('\n')",
        ]),
        around in prop::sample::select(vec![
            ("", ""), ("{% autoescape false %}", "{% endautoescape %}"),
            ("{% autoescape 'html' %}", "{% endautoescape %}"), ("{% filter indent %}", "{% endfilter %}"),
            ("{% set x %}", "{% endset %}{{ x }}"), ("{% macro m() %}", "{% endmacro %}{{ m() }}"),
        ]),
    ) {
        let line = format!("a: {}{{{{ text | {filter} }}}}{}", around.0, around.1);
        let text = "1\n    b: 2\n  labels: {c: d}\n#";
        // What cannot be put in is refused; what is put in adds nothing.
        if let Ok(job) = rendered(&annotated(&line), &[("text", json!(text))]) {
            let marks = job["metadata"].as_object().unwrap();
            prop_assert_eq!(marks.keys().collect::<Vec<_>>(), ["annotations", "name"]);
            prop_assert_eq!(marks["annotations"].as_object().unwrap().len(), 1);
        }
    }

    #[test]
    fn no_text_is_too_strange_for_the_readers(text in "\\PC{0,60}|[-:{}%# \nabspecnm_|]{0,60}") {
        _ = definition::read("f", &text);
        _ = Template::new("f", text.clone()).variables();
        let (definition, _) = definition("x");
        _ = definition.render(&Template::new("f", text), &BTreeMap::new());
    }
}

#[test]
fn a_plain_value_is_what_it_looks_like_and_a_quoted_one_a_text() {
    for (line, value, expected) in [
        ("a: {{ v }}", json!("5"), json!(5)),
        ("a: {{ v }}", json!(5), json!(5)),
        ("a: '{{ v }}'", json!(5), json!("5")),
        ("a: {{ v }}", json!("true"), json!(true)),
        ("a: {{ v }}Mi", json!(5), json!("5Mi")),
        ("a: -{{ v }}", json!(5), json!(-5)),
        ("a: {{ v }}{{ v }}", json!(5), json!(55)),
        ("a: {{ v }}.5", json!(2), json!(2.5)),
        ("a: {{ v | tojson }}", json!("5"), json!("5")),
        ("a: '{{ v | tojson }}'", json!("5"), json!("\"5\"")),
        ("a: 'x {{ v | tojson }}'", json!([1, {"b": 2}]), json!("x [1,{\"b\":2}]")),
        ("a: {{ v }}", Value::Null, Value::Null),
        ("a: !!str {{ v }}", json!(5), json!("5")),
        ("a: {% set w %}{{ v }}!{% endset %}{{ w }}", json!("x"), json!("x!")),
        ("a: {% macro m(t) %}<{{ t }}>{% endmacro %}'{{ m(v) }}'", json!("x"), json!("<x>")),
        ("a: {{ v | default('none') }}", json!("x"), json!("x")),
    ] {
        let job =
            rendered(&annotated(line), &[("v", value)]).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(job["metadata"]["annotations"]["a"], expected, "{line}");
    }
}

#[test]
fn what_a_macro_writes_is_the_templates_own_and_its_values_are_not() {
    let text = annotated(
        "{% macro entry(k, v) %}\"{{ k }}\": {{ v }}{% endmacro %}{% for n in names %}k{{ loop.index }}: {{ n }}\n    {% endfor %}a: b",
    );
    // A key that is made of a value is refused, even of the template's own counter.
    let error = rendered(&text, &[("names", json!(["x"]))]).unwrap_err();
    assert!(error.contains("{{ loop.index }} stands in a key"), "{error}");
    let text =
        annotated("{% macro entry(v) %}one: {{ v }}\n    two: '{{ v }}'{% endmacro %}{{ entry(value) }}");
    let job = rendered(&text, &[("value", json!("1\n    three: 3"))]).unwrap();
    let value = "1\n    three: 3";
    assert_eq!(job["metadata"]["annotations"], json!({ "one": value, "two": value }));
}

#[test]
fn a_list_is_put_in_where_the_definition_allows_it() {
    let text =
        TEMPLATE.replace("[\"echo\", {{ text }}, \"{{ count }}\"]", "{{ words }}").replace("{{ text }}", "x");
    let given = [("words", json!(["a", "b: c"])), ("count", json!(1))];
    let (mut definition, template) = definition(&text);
    let error = render(&definition, &template, &given).unwrap_err();
    assert!(error.contains("{{ words }} is a list or a mapping"), "{error}");
    assert!(error.contains("allow_structure: [words]"), "{error}");
    definition.allow_structure = ["words".to_owned()].into();
    let job = render(&definition, &template, &given).unwrap();
    assert_eq!(job["spec"]["template"]["spec"]["containers"][0]["command"], json!(["a", "b: c"]));
    let template =
        Template { text: template.text.replace("{{ words }}", "{{ words | tojson }}"), ..template };
    let job = render(&definition, &template, &given).unwrap();
    assert_eq!(job["spec"]["template"]["spec"]["containers"][0]["command"], json!(["a", "b: c"]));
}

#[test]
fn every_fault_names_its_place() {
    /// A line, the arguments, and the words of its errors.
    type Case<'a> = (&'a str, &'a [(&'a str, Value)], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (
            "a: {{ one }} {{ two }}\n    b: {{ three | default(1) }}",
            &[],
            &[
                "definitions.yaml:8: the argument \"one\" is missing; add --arg one=VALUE",
                "definitions.yaml:8: the argument \"two\" is missing; add --arg two=VALUE",
            ],
        ),
        (
            "a: {{ name }}",
            &[("nmae", json!(1)), ("name", json!(1))],
            &[
                "definitions.yaml:1: definition \"hello\" does not use the argument \"nmae\"; did you mean name?",
            ],
        ),
        ("a: {{ name ! }}", &[], &["definitions.yaml:8: syntax error: "]),
        (
            "a: {% for x in range(100000) %}{% for y in range(100000) %}{% endfor %}{% endfor %}",
            &[],
            &["definitions.yaml:8: the template runs on and on: does it loop?"],
        ),
        ("a: {% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", &[], &["definitions.yaml:8: "]),
        ("a: {% include 'other' %}", &[], &["definitions.yaml:8: "]),
        (
            "{{ k }}: b",
            &[("k", json!("x"))],
            &[
                "definitions.yaml:8: metadata.annotations: {{ k }} stands in a key; arguments fill values and add no keys",
            ],
        ),
        ("a: 1e{{ k }}", &[("k", json!("x"))], &["definitions.yaml:8:8: 1e{{ k }} is a number without end"]),
        (
            "a: {% set x %}{{ k }}{% endset %}{{ x[:5] }}",
            &[("k", json!("x"))],
            &["{{ k }} does not come out"],
        ),
        ("a: {{ k.b.c }}", &[("k", json!({}))], &["definitions.yaml:8: \"k.b.c\" is not defined"]),
        ("a: [b", &[], &["definitions.yaml:"]),
        ("a: {{ 'x' * 1000000000000 }}", &[], &["too large"]),
    ];
    for (line, given, expected) in cases {
        let error = rendered(&annotated(line), given).unwrap_err();
        for words in *expected {
            assert!(error.contains(words), "{line}\nexpected {words}\ngot {error}");
        }
    }
    for (text, expected) in [
        ("kind: Pod\napiVersion: v1", "Pod"),
        ("a: b\n---\nc: d", "makes 2 documents"),
        ("# nothing", "makes an empty text"),
        ("{% if false %}x{% endif %}", "makes an empty text"),
    ] {
        let error = rendered(text, &[]).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_template_that_writes_without_end_is_stopped() {
    let long = "x".repeat(1000);
    let text = annotated(&format!("a: '{{% for i in range(100000) %}}{long}{{% endfor %}}'"));
    let error = rendered(&text, &[]).unwrap_err();
    assert!(error.contains("makes more than 16 MiB of text"), "{error}");
    let text = annotated("a: '{% for i in range(50000) %}{{ long }}{% endfor %}'");
    let error = rendered(&text, &[("long", json!("x".repeat(1000)))]).unwrap_err();
    assert!(error.contains("makes more than 16 MiB of text"), "{error}");
}

#[test]
fn a_text_that_looks_like_a_marker_is_a_text() {
    let first = rendered(&annotated("a: '{{ v }}'"), &[("v", json!("x"))]);
    assert!(first.is_ok());
    for digits in ["912345678000000", "900000000000000", "999999999999999"] {
        let job =
            rendered(&annotated(&format!("a: '{{{{ v }}}} {digits}'")), &[("v", json!(digits))]).unwrap();
        assert_eq!(job["metadata"]["annotations"]["a"], json!(format!("{digits} {digits}")));
    }
}

#[test]
fn leftover_arguments_pass_where_the_definition_says_so() {
    let file = format!(
        "- name: hello\n  extra_arguments: allow\n  spec: |\n{}",
        annotated("a: b").lines().map(|line| format!("    {line}\n")).collect::<String>()
    );
    let definitions = definition::read("f", &file).unwrap();
    let Source::Inline(template) = &definitions[0].source else { panic!("{definitions:?}") };
    assert!(render(&definitions[0], template, &[("x", json!(1))]).is_ok());
}

#[test]
fn the_file_says_all_that_is_wrong_with_it() {
    let text = "- name: a\n  spec_path: a.yaml\n- nmae: b\n  spec_path: x\n- name: c\n- name: a\n  spec_path: b\n\
                - name: d\n  spec_config_map_name: d\n- name: e\n  spec: {kind: Job}\n- name: f g\n  spec_path: x\n\
                - name: h\n  spec_path: x\n  extra_arguments: perhaps\n- text\n";
    let errors: Vec<String> =
        definition::read("defs.yaml", text).unwrap_err().iter().map(ToString::to_string).collect();
    let all = errors.join("\n");
    for words in [
        "defs.yaml:3:3: [1].nmae: is not known here; did you mean name?",
        "[1].name: is missing",
        "defs.yaml:5:3: [2]: has no template",
        "defs.yaml:6:3: [3].name: \"a\" is the name of the definition of line 1 already",
        "spec_config_map_namespace: is missing",
        "[5].spec: is a mapping; it must be a text",
        "[6].name: \"f g\" is no label's value",
        "extra_arguments",
        "[8]: is a text; it must be a mapping",
    ] {
        assert!(all.contains(words), "{words}\nin\n{all}");
    }
    for (text, words) in [
        ("", "holds no definitions"),
        ("name: a", "job definitions are a YAML list"),
        ("- name: a\n  name: b\n", "twice"),
        ("- a\n---\n- b\n", "holds 2 documents"),
    ] {
        let error = definition::read("f", text).unwrap_err()[0].to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
    assert!(definition::read("f", "[]").unwrap().is_empty());
}

#[test]
fn the_first_source_that_is_there_is_taken() {
    let text = "- name: a\n  spec: ''\n  spec_path: p\n  spec_config_map_name: m\n- name: b\n  spec: \"x\"\n  spec_path: p\n\
                - name: c\n  spec_config_map_name: m\n  spec_config_map_namespace: n\n";
    let all = definition::read("f", text).unwrap();
    assert_eq!(all[0].source, Source::Path("p".to_owned()));
    assert!(
        matches!(&all[1].source, Source::Inline(template) if template.text == "x" && template.first_line == 6)
    );
    assert_eq!(all[2].source, Source::ConfigMap { name: "m".to_owned(), namespace: "n".to_owned() });
}

#[test]
fn variables_are_listed_without_those_that_the_template_sets() {
    let template =
        Template::new("f", "{% set a = b %}{% for c in range(d) %}{{ c }}{{ e.f | default(g) }}{% endfor %}");
    let names: Vec<String> = template.variables().unwrap().into_iter().collect();
    assert_eq!(names, ["b", "d", "e", "g"]);
}
