//! Tags against the plain list of pairs that they stand for.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn pairs() -> impl Strategy<Value = Vec<(Box<str>, Box<str>)>> {
    let text = prop_oneof!["[ab]{0,2}", ".{0,3}", Just("é".repeat(100)), Just("x".repeat(5000))];
    vec((text.clone().prop_map(Into::into), text.prop_map(Into::into)), 0..6)
}

proptest! {
    #[test]
    fn tags_are_the_sorted_pairs(mut pairs in pairs()) {
        let tags = Tags::new(pairs.clone());
        pairs.sort();
        let there: Vec<_> = tags.iter().collect();
        let wanted: Vec<_> = pairs.iter().map(|(n, v)| (&**n, &**v)).collect();
        prop_assert_eq!(&there, &wanted);
        for name in ["", "a", "b", "ab", "ba", "é"] {
            let all: Vec<_> = wanted.iter().filter(|(n, _)| *n == name).map(|(_, v)| *v).collect();
            prop_assert_eq!(tags.get(name), all.first().copied());
            prop_assert_eq!(tags.get_in("", name), all.first().copied());
            prop_assert_eq!(tags.all(name).collect::<Vec<_>>(), all);
        }
        if let Some((name, value)) = wanted.first() {
            prop_assert_eq!(tags.get(name), Some(*value));
        }
        let (names, values) = tags.parts();
        prop_assert_eq!(Tags::from_parts(names, values), Some(tags.clone()));
        pairs.reverse();
        prop_assert_eq!(Tags::new(pairs), tags);
    }

    #[test]
    fn other_pairs_are_other_tags(one in pairs(), other in pairs()) {
        let sorted = |mut pairs: Vec<_>| { pairs.sort(); pairs };
        let same = sorted(one.clone()) == sorted(other.clone());
        prop_assert_eq!(Tags::new(one) == Tags::new(other), same);
    }

    #[test]
    fn noise_is_no_danger(names in ".{0,8}", values in "[\0-\u{7f}]{0,8}") {
        if let Some(tags) = Tags::from_parts(&names, &values) {
            let _ = tags.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>();
        }
    }

    #[test]
    fn cut_or_lengthened_values_are_refused(pairs in pairs(), cut in any::<prop::sample::Index>()) {
        let tags = Tags::new(pairs);
        let (names, values) = tags.parts();
        prop_assert_eq!(Tags::from_parts(names, &format!("{values}\0")), None);
        if let Some(cut) = values.get(..cut.index(values.len() + 1)).filter(|cut| cut.len() < values.len()) {
            prop_assert_eq!(Tags::from_parts(names, cut), None);
        }
    }
}

#[test]
fn shapes_that_nobody_uses_are_forgotten() {
    let one = |n: usize| Tags::new(vec![(format!("shape of this test {n}").into(), "v".into())]);
    let kept = one(0);
    for n in 0..10_000 {
        one(n);
    }
    let known = lock(&SHAPES).known.len();
    assert!(known < 5_000, "{known} shapes are kept for one that is used");
    assert_eq!(kept, one(0), "what is used keeps its one shape");
}

#[test]
fn what_repeats_is_kept_once() {
    let uid = "8e8d8516-2b93-49a7-875b-f338595ff119";
    let pair = |name: &str| (name.into(), uid.into());
    let tags = Tags::new(vec![pair("a"), pair("b"), pair("c")]);
    assert_eq!(tags.bytes(), uid.len() + 4);
    assert!(tags.iter().all(|(_, value)| value == uid));
}

#[test]
fn hundred_thousands_of_tags_are_made_and_read_in_one_go() {
    // As many as a request's body has room for; looking at all others for each of them would take minutes.
    let names = (0..200_000).map(|n| (format!("l/{n:06}").into(), format!("v{n:06}").into()));
    let owners = (0..50_000).map(|n| ("o".into(), format!("v{n:06}").into()));
    let pairs: Vec<(Box<str>, Box<str>)> = names.chain(owners).collect();
    let tags = Tags::new(pairs.clone());
    assert!(tags.iter().eq(pairs.iter().map(|(name, value)| (&**name, &**value))));
    assert_eq!(tags.all("o").count(), 50_000);
    assert_eq!(tags.all("o").last(), Some("v049999"));
}
