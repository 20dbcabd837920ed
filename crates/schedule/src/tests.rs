//! What schedules mean. `cases.txt` holds times that robfig/cron v3.0.1, which Kubernetes uses, came to: around changes
//! of clocks in zones of every kind (midnights that do not exist, half hours, a day that was left out).

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const CASES: &str = include_str!("cases.txt");

/// The differences of a zone: from which moment on which.
type Changes = Vec<(i64, i32)>;

fn offset(changes: &Changes, unix: i64) -> i32 {
    let later = changes.partition_point(|(from, _)| *from <= unix);
    changes[later.saturating_sub(1)].1
}

fn next(text: &str, after: i64) -> Option<i64> {
    Schedule::parse(text).unwrap().next(after, 0, &|_: i64| 0)
}

fn check(cases: &str) -> usize {
    let (mut zones, mut count): (BTreeMap<&str, Changes>, usize) = (BTreeMap::new(), 0);
    for line in cases.lines() {
        if let Some(zone) = line.strip_prefix("zone ") {
            let (name, changes) = zone.split_once(' ').unwrap();
            let change = |pair: &str| {
                let (from, offset) = pair.split_once(':').unwrap();
                (from.parse().unwrap(), offset.parse().unwrap())
            };
            zones.insert(name, changes.split(' ').map(change).collect());
            continue;
        }
        let [zone, text, after, expected] = line.split('|').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let schedule = Schedule::read(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        let zone = |unix: i64| offset(&zones[zone], unix);
        let found = schedule.next(after.parse().unwrap(), 0, &zone);
        assert_eq!(found.map_or("-".to_owned(), |found| found.to_string()), expected, "{line}");
        count += 1;
    }
    count
}

#[test]
fn times_are_those_that_kubernetes_comes_to() {
    assert!(check(CASES) > 100);
}

#[test]
fn a_time_that_the_clocks_skip_is_not_due_that_day_and_one_that_they_repeat_is_due_twice() {
    // Berlin, 2026: on 29 March 02:00 becomes 03:00, on 25 October 03:00 becomes 02:00.
    let berlin: Changes = vec![(0, 3600), (1_774_746_000, 7200), (1_792_890_000, 3600)];
    let zone = |unix: i64| offset(&berlin, unix);
    let times = |text: &str, after: i64| Schedule::parse(text).unwrap().upcoming(after, 0, &zone, 2);
    let midnight = 1_774_738_800; // 29 March 2026, 00:00 in Berlin
    assert_eq!(times("30 2 * * *", midnight), [midnight + 25 * 3600 + 1800, midnight + 49 * 3600 + 1800]);
    assert_eq!(times("0 3 * * *", midnight), [midnight + 2 * 3600, midnight + 26 * 3600]);
    let midnight = 1_792_879_200; // 25 October 2026, 00:00 in Berlin
    assert_eq!(times("30 2 * * *", midnight), [midnight + 2 * 3600 + 1800, midnight + 3 * 3600 + 1800]);
    assert_eq!(times("0 3 * * *", midnight), [midnight + 4 * 3600, midnight + 28 * 3600]);
}

#[test]
fn a_day_that_was_left_out_is_passed_over() {
    // Apia had no 30 December 2011.
    let apia: Changes = vec![(0, -36_000), (1_325_239_200, 50_400)];
    let zone = |unix: i64| offset(&apia, unix);
    let noon = 1_325_196_000; // 29 December 2011, 12:00 in Apia
    let next = Schedule::parse("0 12 31 * *").unwrap().next(noon, 0, &zone);
    assert_eq!(next, Some(1_325_239_200 + 12 * 3600));
}

#[test]
fn what_is_next_is_later_though_clocks_are_set_back_by_two_hours() {
    // At three they show one again.
    let change = 20_000 * 86_400 + 5 * 3600;
    let zone = |unix: i64| if unix < change { -2 * 3600 } else { -4 * 3600 };
    let schedule = Schedule::read("30 2 * * *").unwrap();
    let next = |after: i64| schedule.next(after, after, &zone);
    assert_eq!(next(change - 3600), Some(change - 30 * 60));
    // Twenty to two for the second time: half past two is still to come once.
    assert_eq!(next(change + 40 * 60), Some(change + 90 * 60));
}

#[test]
fn every_counts_from_the_anchor() {
    let every = Schedule::parse("@every 1h30m").unwrap();
    assert_eq!(every, Schedule::Every(5400));
    let utc = |_: i64| 0;
    assert_eq!(every.next(1000, 1000, &utc), Some(6400));
    assert_eq!(every.next(6400, 1000, &utc), Some(11800));
    assert_eq!(every.next(6399, 1000, &utc), Some(6400));
    assert_eq!(every.upcoming(0, 0, &utc, 3), [5400, 10800, 16200]);
    for (text, seconds) in
        [("@every 90s", 90), ("@every 1.5m", 90), ("@every 2m500ms", 120), ("@every +1s", 1)]
    {
        assert_eq!(Schedule::parse(text).unwrap(), Schedule::Every(seconds), "{text}");
    }
}

#[test]
fn macros_stand_for_their_fields() {
    for (text, fields) in [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 jan ?"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * sun"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 ? * *"),
        ("@hourly", "0 */1 * * *"),
    ] {
        for after in [0, 951_782_399, 1_700_000_000] {
            assert_eq!(next(text, after), next(fields, after), "{text}");
        }
    }
}

#[test]
fn what_kubernetes_takes_is_taken() {
    for text in [
        "+5 05 1,15 * Mon-FRI",
        " 0  0 * * ? ",
        "*-9 0 * * *",
        "5/15 * * * *",
        ",1,,2 * * * *",
        "0 0 29 2 *",
        "0 0 31 * 1",
        "0 0 30 2 1",
    ] {
        Schedule::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
    }
}

#[test]
fn what_kubernetes_refuses_or_never_runs_is_refused_with_the_reason() {
    for (text, reason) in [
        ("", "is empty"),
        ("* * * *", "has 4 fields"),
        ("0 * * * * *", "there is none for seconds"),
        ("60 * * * *", "not within 0 to 59"),
        ("* * 0 * *", "not within 1 to 31"),
        ("* * * * 7", "Sunday is 0"),
        ("* * * * mon-sun", "ends before it begins"),
        ("*/0 * * * *", "step 0"),
        ("1-2-3 * * * *", "too many hyphens"),
        ("1/2/3 * * * *", "too many slashes"),
        ("-5 * * * *", "no number or name"),
        ("x * * * *", "no number or name"),
        (", * * * *", "names nothing"),
        ("99999999999 * * * *", "not within"),
        ("TZ=UTC * * * * *", "timeZone"),
        ("CRON_TZ=UTC @daily", "timeZone"),
        ("@reboot", "is not known"),
        ("@Daily", "is not known"),
        (" @daily", "has 1 fields"),
        ("@every", "is not known"),
        ("@every 5", "no duration"),
        ("@every -5m", "no duration"),
        ("@every 1d", "no duration"),
        ("@every 10ms", "less than a second"),
        ("@every 99999999999999h", "no duration"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 4,6,9,11 ?", "never comes"),
    ] {
        let refusal = Schedule::parse(text).expect_err(text);
        assert!(refusal.to_string().contains(reason), "{text}: {refusal}");
    }
}

#[test]
fn a_leap_day_is_found_and_what_is_too_far_is_not() {
    assert_eq!(next("0 0 29 2 *", 1_709_251_200), Some(1_835_395_200), "2028 after 2024");
    assert_eq!(next("0 0 29 2 *", 3_981_312_000), None, "2100 has none: eight years from 2096");
}

#[test]
fn zones_have_names_of_kubernetes_form() {
    for good in ["UTC", "Europe/Berlin", "Etc/GMT+5", "America/Argentina/Buenos_Aires"] {
        assert!(is_zone_name(good), "{good}");
    }
    for bad in ["", "Local", "../etc/passwd", "/Berlin", "Europe//Berlin", "Europe/-x", "a b"] {
        assert!(!is_zone_name(bad), "{bad}");
    }
}

#[test]
fn kubernetes_refuses_in_these_words() {
    for (text, words) in [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        (" @daily", "expected exactly 5 fields, found 1: [@daily]"),
        ("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
        ("-5 * * * *", "failed to parse int from : strconv.Atoi: parsing \"\": invalid syntax"),
        (
            "99999999999999999999 * * * *",
            "failed to parse int from 99999999999999999999: strconv.Atoi: parsing \"99999999999999999999\": value out of range",
        ),
        ("*/-1 * * * *", "negative number (-1) not allowed: -1"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("@x", "unrecognized descriptor: @x"),
        ("@every", "unrecognized descriptor: @every"),
        ("@every ", "failed to parse duration @every : time: invalid duration \"\""),
        ("@every 5", "failed to parse duration @every 5: time: missing unit in duration \"5\""),
        ("@every 1d", "failed to parse duration @every 1d: time: unknown unit \"d\" in duration \"1d\""),
        ("@every 9999999h", "failed to parse duration @every 9999999h: time: invalid duration \"9999999h\""),
    ] {
        assert_eq!(Schedule::read(text).expect_err(text).to_string(), words, "{text}");
    }
}

#[test]
fn kubernetes_takes_what_is_never_due_and_makes_a_second_of_less() {
    for text in ["0 0 30 2 *", ", * * * *", "* * , * *", "0 0 31 4,6,9,11 ?"] {
        assert_eq!(Schedule::read(text).unwrap().next(0, 0, &|_: i64| 0), None, "{text}");
    }
    for (text, seconds) in
        [("@every 0", 1), ("@every -5m", 1), ("@every 10ms", 1), ("@every 1.9s", 1), ("@every .5h", 1800)]
    {
        assert_eq!(Schedule::read(text), Ok(Schedule::Every(seconds)), "{text}");
    }
}

#[test]
fn a_zone_in_front_is_told_apart() {
    assert_eq!(split_zone("0 2 * * *"), Ok((None, "0 2 * * *")));
    assert_eq!(split_zone("TZ=Europe/Berlin  0 2 * * *"), Ok((Some("Europe/Berlin"), "0 2 * * *")));
    assert_eq!(split_zone("CRON_TZ=UTC @daily"), Ok((Some("UTC"), "@daily")));
    assert_eq!(split_zone("TZ= @daily"), Ok((Some(""), "@daily")));
    assert_eq!(
        split_zone("TZ=UTC").unwrap_err().to_string(),
        "invalid schedule format: runtime error: slice bounds out of range [:-1]"
    );
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_or_refused_and_times_go_on(
        text in "(@every |TZ=|@)?[0-9*/,?a-z.+ -]{0,24}",
        after in -10_000_000_000_i64..10_000_000_000,
        offset in -50_000..50_000_i32,
    ) {
        let zone = |_: i64| offset;
        let _ = split_zone(&text);
        if let Err(refusal) = Schedule::parse(&text) {
            prop_assert!(!refusal.to_string().is_empty());
        }
        match Schedule::read(&text) {
            Ok(schedule) => {
                let times = schedule.upcoming(after, after, &zone, 3);
                prop_assert!(times.iter().all(|time| *time > after) && times.is_sorted());
            }
            Err(fault) => {
                prop_assert!(!fault.to_string().is_empty());
                prop_assert!(Schedule::parse(&text).is_err(), "for people it is stricter");
            }
        }
    }

    #[test]
    fn five_fields_of_any_numbers_come_when_they_say(
        minute in 0_u32..60, hour in 0_u32..24, day in 1_u32..29, month in 1_u32..13,
        after in 0_i64..4_000_000_000,
    ) {
        let schedule = Schedule::parse(&format!("{minute} {hour} {day} {month} *")).unwrap();
        let next = schedule.next(after, 0, &|_: i64| 0).unwrap();
        prop_assert!(next > after && next - after <= 366 * 86_400);
        prop_assert_eq!(next % 86_400, i64::from(hour * 3600 + minute * 60));
        prop_assert_eq!(schedule.next(next - 1, 0, &|_: i64| 0), Some(next));
    }
}
