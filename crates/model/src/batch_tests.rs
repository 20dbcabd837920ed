//! The plan of a batch: situations, and what holds whatever happens.

use proptest::prelude::*;

use super::*;
use TaskState::{Active, Failed, Refused, Succeeded, Unsent};

const NO_LIMITS: BatchLimits = BatchLimits { active: None, sends: None };

fn batch(needs: &[&[usize]]) -> Batch {
    Batch::new(needs.iter().map(|needed| needed.to_vec()).collect()).unwrap()
}

#[test]
fn a_task_waits_for_all_that_it_needs() {
    let batch = batch(&[&[1, 2], &[], &[]]);
    assert_eq!(batch.plan(&[], NO_LIMITS).send, [1, 2]);
    let plan = batch.plan(&[Unsent, Succeeded, Active], NO_LIMITS);
    assert_eq!((plan.send, plan.waiting, plan.is_all_sent), (vec![], 1, false));
    assert_eq!(batch.plan(&[Unsent, Succeeded, Succeeded], NO_LIMITS).send, [0]);
    assert!(batch.plan(&[Active, Succeeded, Succeeded], NO_LIMITS).is_all_sent);
}

#[test]
fn what_needs_a_failed_task_is_left_out_with_the_one_that_failed() {
    let batch = batch(&[&[], &[0], &[1], &[]]);
    let plan = batch.plan(&[Failed, Unsent, Unsent, Active], NO_LIMITS);
    let left_out = [LeftOut { task: 1, because: 0 }, LeftOut { task: 2, because: 0 }];
    assert_eq!((&plan.left_out[..], plan.is_all_sent), (&left_out[..], true));
    let plan = batch.plan(&[Succeeded, Refused, Unsent, Unsent], NO_LIMITS);
    assert_eq!((plan.left_out, plan.send), (vec![LeftOut { task: 2, because: 1 }], vec![3]));
}

#[test]
fn only_active_tasks_take_room() {
    let batch = batch(&[&[], &[], &[], &[]]);
    let limits = BatchLimits { active: Some(2), sends: None };
    assert_eq!(batch.plan(&[Succeeded, Failed, Unsent, Unsent], limits).send, [2, 3]);
    assert_eq!(batch.plan(&[Active, Succeeded, Unsent, Unsent], limits).send, [2]);
    let full = batch.plan(&[Active, Active, Unsent, Unsent], limits);
    assert_eq!((full.send, full.waiting, full.is_all_sent), (vec![], 2, false));
}

#[test]
fn nothing_is_sent_beyond_the_number_that_was_asked_for() {
    let batch = batch(&[&[], &[], &[]]);
    let limits = |left| BatchLimits { active: None, sends: Some(left) };
    assert_eq!(batch.plan(&[], limits(2)).send, [0, 1]);
    let plan = batch.plan(&[Active, Active, Unsent], limits(0));
    assert_eq!((plan.send, plan.waiting, plan.is_all_sent), (vec![], 1, true));
}

#[test]
fn a_cycle_is_told_from_what_leads_to_it() {
    let needs = vec![vec![1], vec![2], vec![3], vec![1], vec![]];
    assert_eq!(Batch::new(needs).unwrap_err(), Cycle(vec![1, 2, 3]));
    assert_eq!(Batch::new(vec![vec![0]]).unwrap_err(), Cycle(vec![0]));
}

#[test]
fn a_long_chain_and_a_wide_front_are_planned_without_deep_calls() {
    let chain: Vec<Vec<usize>> =
        (0..100_000).map(|task: usize| task.checked_sub(1).into_iter().collect()).collect();
    assert_eq!(Batch::new(chain).unwrap().plan(&[], NO_LIMITS).send, [0]);
    let mut circle: Vec<Vec<usize>> = (0..100_000).map(|task| vec![task + 1]).collect();
    circle[99_999] = vec![0];
    assert_eq!(Batch::new(circle).unwrap_err().0.len(), 100_000);
}

/// Batches without cycles, whose tasks need any others.
fn batches() -> impl Strategy<Value = Batch> {
    (1usize..12).prop_flat_map(|count| {
        let needs = prop::collection::vec(prop::collection::vec(0..count, 0..4), count);
        (needs, Just(count).prop_flat_map(|count| Just((0..count).collect::<Vec<_>>()).prop_shuffle()))
            .prop_map(|(needs, place)| {
                let earlier = |(task, needed): (usize, Vec<usize>)| {
                    needed.into_iter().filter(|other| place[*other] < place[task]).collect()
                };
                Batch::new(needs.into_iter().enumerate().map(earlier).collect()).unwrap()
            })
    })
}

/// Carries plans out to the end: each active task ends as `fates` say, one at a time, in the order of `turns`.
/// Gives the states, and how often each task was sent.
fn carry_out(
    batch: &Batch,
    fates: &[TaskState],
    turns: &[usize],
    limits: BatchLimits,
) -> (Vec<TaskState>, Vec<usize>) {
    let (mut states, mut sent) = (vec![Unsent; batch.len()], vec![0; batch.len()]);
    for turn in 0.. {
        let left = limits.sends.map(|most| most - sent.iter().sum::<usize>());
        let plan = batch.plan(&states, BatchLimits { sends: left, ..limits });
        for task in &plan.send {
            assert!(batch.needs(*task).iter().all(|needed| states[*needed] == Succeeded));
            sent[*task] += 1;
            states[*task] = if fates[*task] == Refused { Refused } else { Active };
        }
        let active: Vec<usize> = (0..batch.len()).filter(|task| states[*task] == Active).collect();
        assert!(limits.active.is_none_or(|most| active.len() <= most));
        let again = BatchLimits { sends: left.map(|left| left - plan.send.len()), ..limits };
        if active.is_empty() {
            let next = batch.plan(&states, again);
            if next.is_all_sent {
                return (states, sent);
            }
            assert!(!next.send.is_empty(), "nothing is active, and nothing is sent");
            continue;
        }
        let ended = active[turns[turn % turns.len()] % active.len()];
        states[ended] = fates[ended];
    }
    unreachable!("a batch ends")
}

fn fates() -> impl Strategy<Value = Vec<TaskState>> {
    let fate = prop_oneof![6 => Just(Succeeded), 1 => Just(Failed), 1 => Just(Refused)];
    prop::collection::vec(fate, 12)
}

proptest! {
    #[test]
    fn every_task_is_sent_once_or_left_out_because_of_one_that_it_needs(
        batch in batches(),
        fates in fates(),
        turns in prop::collection::vec(0usize..12, 1..12),
        active in prop::option::of(1usize..5),
    ) {
        let limits = BatchLimits { active, sends: None };
        let (states, sent) = carry_out(&batch, &fates, &turns, limits);
        let left_out = batch.plan(&states, limits).left_out;
        for (task, sent) in sent.into_iter().enumerate() {
            let is_left_out = left_out.iter().any(|left| left.task == task);
            prop_assert_eq!(sent, usize::from(!is_left_out));
            let has_failed = batch.needs(task).iter().any(|needed| states[*needed] != Succeeded);
            prop_assert_eq!(is_left_out, has_failed);
        }
        for left in left_out {
            prop_assert!(matches!(states[left.because], Failed | Refused));
        }
    }

    #[test]
    fn no_more_are_sent_than_were_asked_for(
        batch in batches(),
        fates in fates(),
        turns in prop::collection::vec(0usize..12, 1..12),
        sends in 0usize..8,
    ) {
        let limits = BatchLimits { active: None, sends: Some(sends) };
        let (states, sent) = carry_out(&batch, &fates, &turns, limits);
        prop_assert!(sent.iter().sum::<usize>() <= sends);
        prop_assert!(sent.iter().all(|times| *times <= 1));
        prop_assert_eq!(states.len(), batch.len());
    }

    #[test]
    fn a_plan_from_the_states_alone_goes_on_where_another_stopped(
        batch in batches(),
        states in prop::collection::vec(
            prop_oneof![Just(Unsent), Just(Active), Just(Succeeded), Just(Failed)], 12),
    ) {
        let plan = batch.plan(&states[..batch.len()], NO_LIMITS);
        for task in plan.send {
            prop_assert_eq!(states[task], Unsent, "what has a job is not sent again");
            prop_assert!(batch.needs(task).iter().all(|needed| states[*needed] == Succeeded));
        }
        for left in plan.left_out {
            prop_assert_eq!(states[left.task], Unsent);
        }
    }
}
