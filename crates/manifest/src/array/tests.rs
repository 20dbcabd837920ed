//! Numbers, lines, tables and matrices; what is wrong with them; and their way through text and back.

use proptest::prelude::*;

use super::*;

fn numbers(text: &str) -> Vec<u32> {
    Numbers::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).iter().collect()
}

#[test]
fn numbers_are_slurms() {
    assert_eq!(numbers("0-3"), [0, 1, 2, 3]);
    assert_eq!(numbers("5,7,9-20:5"), [5, 7, 9, 14, 19]);
    assert_eq!(numbers("9-9"), [9]);
    assert_eq!(numbers("3,1"), [3, 1]);
    assert_eq!(Numbers::parse_with_limit("0-99%10").unwrap().1, Some(10));
    assert_eq!(Numbers::parse("9-20:2").unwrap().to_string(), "9-19:2");
    assert_eq!(Numbers::parse("1,2,3,5,7,9,20").unwrap().to_string(), "1-3,5-9:2,20");
    assert!(Numbers::parse("0-9").unwrap().are_indexes());
    assert!(!Numbers::parse("1-9").unwrap().are_indexes());
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    for (text, part) in [
        ("", "no number"),
        ("a", "no number"),
        ("1-", "no number"),
        ("-1", "no number"),
        ("+1", "no number"),
        ("1,,2", "no number"),
        ("9-5", "write 5-9"),
        ("1-9:0", "step"),
        ("5:2", "step"),
        ("1-5,3", "3 twice"),
        ("0-100000", "100000"),
        ("0-4294967295", "100000"),
        ("4294967296", "no number"),
        ("0-9%0", "never"),
        ("0-9%", "after %"),
        ("0-9%x", "after %"),
    ] {
        let error = Numbers::parse_with_limit(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn lines_keep_their_numbers() {
    let Lines { array, skipped } = Array::of_lines(b"\xef\xbb\xbfone\r\n\n  two words \n\t\nthree").unwrap();
    let tasks: Vec<(u32, &str)> =
        array.tasks.iter().map(|task| (task.number, task.values[0].as_str())).collect();
    assert_eq!(tasks, [(1, "one"), (3, "  two words "), (5, "three")]);
    assert_eq!((skipped, array.names), (2, vec!["item".to_owned()]));
}

fn wrong<T: std::fmt::Debug>(result: Result<T, Problems>) -> String {
    result.unwrap_err().to_string()
}

use windlass_model::Problems;

#[test]
fn lines_that_no_argument_can_be_are_named() {
    assert_eq!(
        wrong(Array::of_lines(b"a\nb\0\n")),
        "line 2: has a NUL byte, which no argument and no variable can"
    );
    assert_eq!(wrong(Array::of_lines(b"a\n\xff\n")), "line 2: is no text in UTF-8");
    assert!(wrong(Array::of_lines(b"\n \n")).contains("nothing to run"));
    assert!(wrong(Array::of_lines(&b"x\n".repeat(MOST_TASKS + 1))).contains("at most 100000"));
}

#[test]
fn rows_have_their_columns() {
    let table = "sample,seed\r\n\"a, b\",1\r\n\"two\nlines\",\"say \"\"hi\"\"\"\r\n";
    let array = Array::of_rows(table.as_bytes()).unwrap().array;
    assert_eq!(array.names, ["sample", "seed"]);
    assert_eq!(array.tasks[0].values, ["a, b", "1"]);
    assert_eq!(
        (array.tasks[1].number, &array.tasks[1].values[..]),
        (2, &["two\nlines".into(), "say \"hi\"".into()][..])
    );
    let Lines { array, skipped } = Array::of_rows(b"a\n1\n\n \n2\n").unwrap();
    assert_eq!((array.tasks[1].number, skipped), (2, 2));
}

#[test]
fn tables_that_are_none_are_refused_with_their_lines() {
    for (table, expected) in [
        ("", "line 1: is missing; the first line of a table names its columns"),
        (
            "a,b\n1,2\n1\n1,2,3\n",
            "line 3: has 1 values, and the first line names 2\nline 4: has 3 values, and the first line names 2",
        ),
        ("a,a\n1,2\n", "line 1: column \"a\" is there twice"),
        ("a,\n1,2\n", "line 1: column 2 has no name"),
        ("a,b\n\n1\n", "line 3: has 1 values, and the first line names 2"),
    ] {
        assert_eq!(wrong(Array::of_rows(table.as_bytes())), expected, "{table}");
    }
    assert!(wrong(Array::of_rows(b"my col,PATH\n1,2\n")).contains("no variable's name; call it my_col"));
    assert!(wrong(Array::of_rows(b"PATH\n1\n")).contains("take the place"));
    assert!(wrong(Array::of_rows(b"a,b\n")).contains("nothing to run"));
    let unclosed = wrong(Array::of_rows(b"a,b\n1,\"2\n3,4\n"));
    assert!(unclosed.starts_with("line 2: begins a quote here that is never closed"), "{unclosed}");
}

#[test]
fn a_matrix_is_every_combination() {
    let array = Array::of_matrix(&["a=1,2", "b=x,y"]).unwrap();
    let values: Vec<String> = array.tasks.iter().map(|task| task.values.concat()).collect();
    assert_eq!(values, ["1x", "1y", "2x", "2y"]);
    assert_eq!(array.numbers().to_string(), "1-4");
    let many: Vec<String> = (0..6).map(|n| format!("k{n}=1,2,3,4,5,6,7,8")).collect();
    assert!(wrong(Array::of_matrix(&many)).contains("262144 tasks"));
    for (words, part) in [
        (&["a"][..], "not KEY"),
        (&["a=1,"], "empty"),
        (&["a="], "empty"),
        (&["a=1", "a=2"], "twice"),
        (&["1=2"], "variable"),
    ] {
        assert!(wrong(Array::of_matrix(words)).contains(part), "{words:?}");
    }
}

#[test]
fn a_job_tells_its_numbers() {
    let map = TaskMap {
        names: vec!["item".into()],
        numbers: Numbers::parse("5,7,9-20:2").unwrap(),
        config_map: Some("a-tasks".into()),
    };
    assert_eq!(map.write(), r#"{"names":["item"],"numbers":"5-19:2","count":8,"configMap":"a-tasks"}"#);
    assert_eq!(TaskMap::read(&map.write()), Some(map.clone()));
    assert_eq!((map.number(1), map.index(11), map.number(8), map.index(6)), (Some(7), Some(3), None, None));
    assert_eq!(TaskMap::read(r#"{"numbers":"1-3","count":4}"#), None);
}

#[test]
fn a_name_that_is_nearly_one_is_told() {
    let names = ["sample".to_owned(), "seed".to_owned()];
    let found =
        near_misses(&["{sampel} ${sampel} {SAMPLE}", "{sample}{other}{}{#} {a b}", "{{sed}} {sed}"], &names);
    let found: Vec<(&str, &str)> = found.iter().map(|(word, name)| (word.as_str(), name.as_str())).collect();
    assert_eq!(found, [("sampel", "sample"), ("SAMPLE", "sample"), ("sed", "seed")]);
}

proptest! {
    #[test]
    fn numbers_go_through_text_and_back(numbers in prop::collection::hash_set(0_u32..400, 1..60)) {
        let numbers: Vec<u32> = numbers.into_iter().collect();
        let made: Numbers = numbers.iter().copied().collect();
        prop_assert_eq!(made.iter().collect::<Vec<_>>(), numbers.clone());
        prop_assert_eq!(Numbers::parse(&made.to_string()), Ok(made.clone()));
        for (index, number) in (0..).zip(&numbers) {
            prop_assert_eq!((made.get(index), made.index_of(*number)), (Some(*number), Some(index)));
        }
        prop_assert_eq!(made.len() as usize, numbers.len());
    }

    #[test]
    fn sorted_numbers_are_ranges(numbers in prop::collection::btree_set(0_u32..60, 1..60)) {
        let made: Numbers = numbers.iter().copied().collect();
        prop_assert_eq!(Numbers::parse(&made.to_string()), Ok(made.clone()));
        prop_assert_eq!(made.iter().collect::<std::collections::BTreeSet<_>>(), numbers);
    }

    #[test]
    fn values_go_through_text_and_back(rows in prop::collection::vec(prop::collection::vec("[^\0]{0,12}", 2), 1..8)) {
        let tasks = (1..).zip(rows).map(|(number, values)| Task { number, values }).collect();
        let array = Array { names: vec!["a".into(), "b".into()], tasks };
        prop_assert_eq!(Array::of_items(&array.items()), Some(array));
    }
}
